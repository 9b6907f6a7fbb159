"""verl on CPUs, through its plug-in points; and tests of what this package writes for it."""
