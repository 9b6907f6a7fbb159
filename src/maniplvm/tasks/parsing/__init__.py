"""From the text of a model to an answer in pixels."""
