"""ms-swift: GRPO recipes of this package on `swift rlhf`."""

MS_SWIFT_VERSION = "4.6.0"
"""The version of ms-swift whose arguments are supported."""
