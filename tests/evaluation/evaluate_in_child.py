"""`maniplvm` with its arguments, in a process whose files may grow to so many bytes."""

import resource
import sys

from maniplvm.cli import main

if __name__ == "__main__":
    most = int(sys.argv.pop(1))
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    main()
