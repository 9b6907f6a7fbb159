"""ms-swift on CPUs, and tests of what this package writes for it."""
