"""Who wrote what a killed run left: is that process still there?"""

import os


def runs(pid: int) -> bool:
    """Whether a process is there, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
