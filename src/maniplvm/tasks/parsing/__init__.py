"""The parser: from the completion of a model to an answer in pixels."""
