"""A run in a process of its own, which writes down how it ended.

Usage: python -m pipeline.watch.child OUTCOME MODULE ARGUMENT ..., where MODULE has a `main` that
takes the arguments, as pipeline.cli has.

The watch may die meanwhile: the run goes on, and the next watch reads its exit status.
"""

import importlib
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Calls `main` of a module, writes its exit status and exits with it.

    Args:
      arguments: file for the status, name of the module, its arguments.
    """
    from pipeline.watch.folder import write_outcome

    status = 0
    try:
        importlib.import_module(arguments[1]).main(arguments[2:])
    except SystemExit as ending:
        code = ending.code
        status = code if isinstance(code, int) else int(code is not None)
    except Exception:
        import traceback

        traceback.print_exc()
        status = 1
    if status != 130:  # interrupted: it left nothing to settle, the same run goes on later
        write_outcome(Path(arguments[0]), status, time.time())
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
