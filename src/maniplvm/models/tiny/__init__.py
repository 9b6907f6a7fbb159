"""Tiny checkpoints of real model classes, and the tokenizer that they share with the embedded model."""

from maniplvm.models.tiny.checkpoint import TINY_FAMILIES, tiny_tokenizer, write_tiny_checkpoint

__all__ = ["TINY_FAMILIES", "tiny_tokenizer", "write_tiny_checkpoint"]
