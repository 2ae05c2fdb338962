"""What a watch remembers, as one JSON file that is written whole."""

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from schema.errors import PneumoError
from schema.files import write_atomically

VERSION: Final = 1
Reason = Literal["new data", "drift", "retry", "resume"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Running(_Part):
    """A run that was started and has not been settled.

    Attributes:
      number: of the run; names its files.
      reason: why it was started.
      key: of the image files that lay there.
      config: digest of the configuration.
      images: that lay there.
      started: seconds since 1970.
      attempt: 1, 2, ... over the same data and configuration.
      drift_until: the log was looked at up to here; None where drift was not the reason.
    """

    number: int
    reason: Reason
    key: str
    config: str
    images: int
    started: float
    attempt: int = 1
    drift_until: float | None = None


class Failed(_Part):
    """The last run, where it failed.

    Attributes:
      run: which.
      at: seconds since 1970.
      status: its exit status; None where it died without one.
    """

    run: Running
    at: float
    status: int | None


class Done(_Part):
    """The last run that ended well.

    Attributes:
      run: which.
      at: seconds since 1970.
    """

    run: Running
    at: float


class State(_Part):
    """Everything a watch remembers.

    Attributes:
      version: of this file.
      next: number of the next run.
      running: started and not settled.
      failed: the last run, where it failed.
      done: the last that ended well.
      drift_since: lines of the log up to this time have led to a run already.
      waiting_since: when new files were first seen that are waited for.
    """

    version: Literal[1] = VERSION
    next: int = 1
    running: Running | None = None
    failed: Failed | None = None
    done: Done | None = None
    drift_since: float = 0.0
    waiting_since: float | None = None


def read_state(path: Path) -> State:
    """Reads the state; a new one where there is none.

    Raises:
      PneumoError: it is there and can't be read. Nothing is guessed: a forgotten run would be
        started again.
    """
    try:
        return State.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, ValidationError) as error:
        what = " ".join(str(error).split())[:200]
        raise PneumoError(
            f"state of the watch {path} can't be read ({what}); remove it to start afresh"
        ) from None


def write_state(state: State, path: Path) -> None:
    """Writes the state whole or not at all."""
    write_atomically(path, state.model_dump_json(indent=1) + "\n")
