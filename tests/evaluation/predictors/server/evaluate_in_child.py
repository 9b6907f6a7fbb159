"""`maniplvm` with its arguments, in a process whose files may grow to so many bytes."""

import resource
import signal
import sys

from maniplvm.cli import main

if __name__ == "__main__":
    most = int(sys.argv.pop(1))
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    # a shell's background job ignores Ctrl-C, and so would its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
