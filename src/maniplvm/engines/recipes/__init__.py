"""What the exports of GRPO recipes share: prompts, files, and checks of settings."""
