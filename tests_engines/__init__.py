"""Tests against the real training engines, in their own environments: `make test-engines`."""
