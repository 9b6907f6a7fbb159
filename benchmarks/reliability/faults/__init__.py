"""Commands that are interrupted, that run out of something, or that run twice at once."""
