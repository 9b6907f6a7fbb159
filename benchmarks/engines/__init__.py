"""Real training runs on other engines, from our recipes: rewards, agreement and recovery."""
