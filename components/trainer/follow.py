"""Any rank but the chief, where `pneumo run` is the chief: python -m components.trainer.follow URI.

Started by a cluster's launcher with TF_CONFIG; URI is the folder of checkpoints that all ranks see
(`checkpoints/` of the work folder). It waits until the chief's Trainer starts, trains with it, and
ends with it. Exit status: 0 done; 2 something that the user can mend, in one line.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from components.trainer.cluster import TF_CONFIG, cluster_of
from components.trainer.ranks import run_ranks, wait_for_command
from schema.errors import PneumoError

log = logging.getLogger("pneumo.trainer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Waits, trains, and gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m components.trainer.follow")
    parser.add_argument("checkpoints", help="folder or URI that all ranks see")
    parser.add_argument("--wait", type=float, default=86_400.0, help="for the chief, seconds")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        cluster = cluster_of()
        if cluster.chief:
            raise PneumoError(f"{TF_CONFIG} makes this process the chief, which is `pneumo run`")
        run_ranks(wait_for_command(args.checkpoints, cluster, args.wait), [os.environ[TF_CONFIG]])
    except PneumoError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
