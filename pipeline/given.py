"""What a user gives, checked alike by every command."""

from pathlib import Path

from schema.errors import PneumoError


def need_data(data: Path) -> None:
    """Checks that the data are there, before anything else is looked for.

    Raises:
      PneumoError: they are not.
    """
    if not data.exists():
        raise PneumoError(f"data folder {data} does not exist; give it with --data or PNEUMO_DATA")
