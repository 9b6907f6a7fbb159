"""Post-train vision-language models for robot manipulation with verifiable rewards."""

__version__ = "0.1.0"
