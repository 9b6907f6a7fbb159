"""`python -m maniplvm` is the `maniplvm` command."""

from maniplvm.cli import main

main()
