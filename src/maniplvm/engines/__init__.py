"""Thin shims to other people's engines and harnesses; they adapt to us, one folder each."""
