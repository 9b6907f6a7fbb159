"""Answers and targets drawn over images, as inline SVG."""
