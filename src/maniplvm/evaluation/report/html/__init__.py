"""HTML tags built in code, with every text escaped."""
