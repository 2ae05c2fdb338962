"""The error that a user sees as one line."""


class PneumoError(Exception):
    """Bad input or a state that the user can mend.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with 2.
    """
