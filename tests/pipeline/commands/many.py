"""Runs several `pneumo` commands in one fresh process: importing the clients takes the time.

Standard input: a JSON list of argument lists. Standard output: a JSON list of [status, output,
error], one for each.
"""

import json
import sys

from tests.support.cli import pneumo

if __name__ == "__main__":
    runs = [pneumo(*arguments) for arguments in json.load(sys.stdin)]
    json.dump([[r.returncode, r.stdout.decode(), r.stderr.decode()] for r in runs], sys.stdout)
