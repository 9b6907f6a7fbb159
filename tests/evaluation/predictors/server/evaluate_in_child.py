"""Run `maniplvm` with its arguments in a process with a limit on file sizes in bytes."""

import resource
import signal
import sys

from maniplvm.cli import main

if __name__ == "__main__":
    most = int(sys.argv.pop(1))
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    # background jobs of a shell ignore Ctrl-C, and their children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
