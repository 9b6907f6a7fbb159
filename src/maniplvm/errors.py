"""The error for mistakes that a user can correct."""


class UserError(Exception):
    """A mistake that the user can correct, such as an unknown option or a missing file.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with status 2.
    """
