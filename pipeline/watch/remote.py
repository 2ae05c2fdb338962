"""A run on a cluster: records made here, stored where the cluster reads them, and a spec sent."""

import json
from collections.abc import Sequence
from pathlib import Path

from schema.errors import PneumoError


def submit_command(
    spec: Path,
    source: str,
    overrides: Sequence[str],
    data: Path,
    work: Path,
    records: str | None,
    params: Sequence[str],
) -> tuple[str, ...]:
    """Module and arguments for pipeline.watch.child.

    Raises:
      PneumoError: no such file.
    """
    if not spec.is_file():
        raise PneumoError(f"{spec} is no file; write it with `pneumo compile`")
    told = {
        "spec": str(spec.resolve()),
        "config": source,
        "set": list(overrides),
        "data": str(data),
        "work": str(work),
        "records": records,
        "params": list(params),
    }
    return ("pipeline.watch.remote", json.dumps(told))


def main(arguments: list[str]) -> None:
    """Ingests and stores the records where a place is given for them, then sends the spec.

    Args:
      arguments: one, the JSON of `submit_command`.
    """
    from pipeline.cli import main as pneumo

    told = json.loads(arguments[0])
    params = list(told["params"])
    if told["records"]:
        place = _store(told)
        print(f"records  {place}", flush=True)
        params.append(f"data={place}")
    given = [word for param in params for word in ("--param", param)]
    pneumo(["submit", told["spec"], "--config", told["config"], *given])


def _store(told: dict[str, str]) -> str:
    """Makes the records and stores them under the digest of their content."""
    from pipeline.config import load_config
    from pipeline.run import prepare_records
    from pipeline.runners.workspace import locked
    from schema import storage

    config = load_config(told["config"], told["set"])
    with locked(Path(told["work"])) as work:
        records, summary = prepare_records(config, Path(told["data"]), work, None)
        place = f"{told['records'].rstrip('/')}/{summary.content_sha256[:16]}"
        # The file that says that the data set is whole goes last; where it is, all is.
        if not storage.exists(f"{place}/dataset.json"):
            storage.put(records, place, last=("dataset.json",))
    return place
