"""Reports in a folder, one for each DICOM file that was answered."""

import datetime
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.images.dicom.read import quiet
from schema.errors import PneumoError
from schema.files import write_bytes_atomically
from schema.processes import is_running
from serving.dicom_out.algorithm import Algorithm
from serving.dicom_out.finding import DECISIONS, finding_of
from serving.dicom_out.report import CARRIED, NEEDED, make_report, result_of, uid_of
from serving.predict.dicom import is_dicom
from serving.predict.prediction import Prediction

if TYPE_CHECKING:
    from pydicom import Dataset

NAMED: Final = 3  # files without a report that are named


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


class Reports:
    """Writes structured reports; the name of a file is the UID of its report.

    A report about the same image that says the same has the same UID: it is kept as it stands.

    Args:
      folder: made where it is not there.
      algorithm: who answers.
      classes: of the model, in order.
      now: gives the time that is written into a report.

    Attributes:
      written: how many reports are in the folder by this run, those that were there included.
      not_dicom: how many files are no DICOM.
      rejected: how many images were rejected.
      unreported: how many DICOM files were answered and could not be reported.

    Raises:
      PneumoError: highdicom is missing, the folder cannot be written, or there is no code for the
        finding.
    """

    def __init__(
        self,
        folder: Path,
        algorithm: Algorithm,
        classes: Sequence[str],
        now: Callable[[], datetime.datetime] = _now,
    ) -> None:
        try:
            import highdicom.sr  # noqa: F401
        except ImportError as error:
            raise PneumoError(
                "--dicom-out needs highdicom: install the extra with `pip install "
                "'pneumo-tfx[dicom]'`"
            ) from error
        self._folder, self._algorithm, self._now = folder, algorithm, now
        self._finding = finding_of(classes)
        self.written = self.not_dicom = self.rejected = self.unreported = 0
        self._names: list[str] = []
        self._reasons: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(folder / ".probe", b"")
            (folder / ".probe").unlink()
            _remove_leftovers(folder)
        except OSError as error:
            raise PneumoError(f"{folder} cannot be written: {error.strerror}") from error

    def add(self, answer: Prediction) -> Path | None:
        """Writes the report about the file of an answer; None where there is none.

        A rejected image has none: nothing was found out about the patient. Its reason stands in the
        other outputs.

        Raises:
          PneumoError: the folder cannot be written.
        """
        if answer.error:
            self.rejected += 1
            return None
        file = Path(answer.file)
        try:
            if not _is_dicom_file(file):
                self.not_dicom += 1
                if len(self._names) < NAMED:
                    self._names.append(str(file))
                return None
            final, content = self._made(file, answer)
        except _NoReport as error:
            self.unreported += 1
            if len(self._reasons) < NAMED:
                self._reasons.append(f"about {file}: {error}")
            return None
        if content is not None:
            try:
                write_bytes_atomically(final, content)
            except OSError as error:
                raise PneumoError(f"{final} cannot be written: {error.strerror}") from error
        self.written += 1
        return final

    def _made(self, file: Path, answer: Prediction) -> tuple[Path, bytes | None]:
        """Path and content of a report; no content where that very report is there."""
        if answer.decision not in DECISIONS:
            raise _NoReport(f"no decision {answer.decision}")
        # What goes wrong from here on may quote the patient: neither text nor warning gets out.
        with _silence():
            try:
                source = _read(file)
                missing = [name for name in NEEDED if not source.get(name)]
                if missing:
                    raise _NoReport(f"it has no {missing[0]}")
                said = (source, result_of(answer), self._algorithm, self._finding)
                final = self._folder / f"{uid_of(*said)}.dcm"
                if final.exists():
                    return final, None
                out = io.BytesIO()
                make_report(*said, self._now()).save_as(out, enforce_file_format=True)
            except _NoReport:
                raise
            except Exception as error:  # the libraries raise errors of every kind
                raise _NoReport(f"its attributes make none ({type(error).__name__})") from None
        return final, out.getvalue()

    def lines(self) -> list[str]:
        """What there is to say at the end: how many reports, and what has none."""
        count = f"{self.written} structured report" + ("s" if self.written != 1 else "")
        said = [f"{count} in {self._folder}: DICOM, with the identities of the patients"]
        if self.not_dicom:
            more = self.not_dicom - len(self._names)
            names = ", ".join(self._names) + (f" and {more} more" if more else "")
            said.append(f"no report, because it is no DICOM file: {names}")
        if self.rejected:
            said.append(f"no report about the {self.rejected} rejected")
        said += [f"no report {reason}" for reason in self._reasons]
        if self.unreported > len(self._reasons):
            said.append(f"no report for {self.unreported - len(self._reasons)} more DICOM files")
        return said


class _NoReport(Exception):
    """Why there is no report, without a word of the file."""


def _is_dicom_file(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return is_dicom(opened.read(132))
    except OSError:
        raise _NoReport("it is gone") from None


def _remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of `schema.files.atomic_file` whose process was killed."""
    for left in folder.glob(".*.partial"):
        owner = left.name.split(".")[-2].split("-")[0]
        if owner.isdigit() and not is_running(int(owner)):
            left.unlink(missing_ok=True)


def _read(file: Path) -> "Dataset":
    """The attributes that a report needs; pixels are not read."""
    import pydicom

    tags = ["SpecificCharacterSet", "Rows", "Columns", "InstanceNumber", *NEEDED, *CARRIED]
    return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(tags))


@contextmanager
def _silence() -> Iterator[None]:
    """Neither warnings nor log lines of the DICOM libraries, which quote values."""
    import pydicom

    quiet()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield
