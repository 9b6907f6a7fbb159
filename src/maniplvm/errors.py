"""The one error that a user is meant to read."""


class UserError(Exception):
    """Something that the person at the keyboard can fix.

    Its text is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with status 2; library callers may catch it.
    """
