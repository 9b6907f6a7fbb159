"""Configuration of a training run: the recipe and the trainer settings."""
