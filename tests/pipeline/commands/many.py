"""Runs several `pneumo` commands in one fresh process: importing the clients takes the time.

Standard input: a JSON list of argument lists. Standard output: a JSON list of [status, output,
error], one for each.
"""

import json
import os
import sys
import tempfile
from typing import Any


def run(arguments: list[str]) -> list[Any]:
    """One command; what it writes is caught below Python, as a terminal would."""
    from pipeline.cli import main as pneumo

    status, real = 0, [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        os.dup2(out.fileno(), 1)
        os.dup2(error.fileno(), 2)
        try:
            pneumo(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for at, descriptor in enumerate(real, 1):
                os.dup2(descriptor, at)
                os.close(descriptor)
        texts = []
        for file in (out, error):
            file.seek(0)
            texts.append(file.read())
    return [status, *texts]


if __name__ == "__main__":
    json.dump([run(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
