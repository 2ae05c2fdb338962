"""Writes one report for each predicted DICOM file to a folder."""

import datetime
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.images.dicom.read import silence_pydicom
from schema.errors import PneumoError
from schema.files import write_bytes_atomically
from schema.processes import is_running
from serving.dicom_out.algorithm import Algorithm
from serving.dicom_out.content import report_content
from serving.dicom_out.finding import DECISIONS, finding_code
from serving.dicom_out.report import COPIED, REQUIRED, make_report, report_uid
from serving.predict.dicom import is_dicom
from serving.predict.prediction import Prediction

if TYPE_CHECKING:
    from pydicom import Dataset

LISTED: Final = 3  # files without a report that the summary names


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


class ReportWriter:
    """Writes structured reports, named STEM.UID.dcm after their input file and their UID.

    An equal prediction for the same image gives the same UID; the existing report is kept.

    Args:
      folder: output folder; created if it does not exist.
      algorithm: identification of the model.
      classes: class names of the model, in order.
      now: returns the time to write into a report.

    Attributes:
      written: number of reports of this run, including existing ones.
      not_dicom: number of files in another format.
      rejected: number of rejected images.
      unreported: number of predicted DICOM files without a report because of an error.

    Raises:
      PneumoError: highdicom is missing, the folder cannot be written, or the finding has no
        code.
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
        self._finding = finding_code(classes)
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

    def add(self, prediction: Prediction) -> Path | None:
        """Writes the report for a prediction.

        Rejected images get no report; the other outputs contain the reason.

        Returns:
          Path of the report; None if there is no report.

        Raises:
          PneumoError: the folder cannot be written.
        """
        if prediction.error:
            self.rejected += 1
            return None
        file = Path(prediction.file)
        try:
            if not _is_dicom_file(file):
                self.not_dicom += 1
                if len(self._names) < LISTED:
                    self._names.append(str(file))
                return None
            final, content = self._make(file, prediction)
        except _NoReport as error:
            self.unreported += 1
            if len(self._reasons) < LISTED:
                self._reasons.append(f"for {file}: {error}")
            return None
        if content is not None:
            try:
                write_bytes_atomically(final, content)
            except OSError as error:
                raise PneumoError(f"{final} cannot be written: {error.strerror}") from error
        self.written += 1
        return final

    def _make(self, file: Path, prediction: Prediction) -> tuple[Path, bytes | None]:
        """Returns path and content of a report; no content if the report exists."""
        if prediction.decision not in DECISIONS:
            raise _NoReport(f"no decision {prediction.decision}")
        # Errors and warnings from here on may quote the patient and are not passed on.
        with _without_messages():
            try:
                source = _read(file)
                missing = [name for name in REQUIRED if not source.get(name)]
                if missing:
                    raise _NoReport(f"it has no {missing[0]}")
                arguments = (source, report_content(prediction), self._algorithm, self._finding)
                final = self._folder / _report_name(file, report_uid(*arguments))
                if final.exists():
                    return final, None
                out = io.BytesIO()
                make_report(*arguments, self._now()).save_as(out, enforce_file_format=True)
            except _NoReport:
                raise
            except Exception as error:  # the libraries raise errors of every kind
                raise _NoReport(f"its attributes are invalid ({type(error).__name__})") from None
        return final, out.getvalue()

    def summary(self) -> list[str]:
        """Returns lines with the number of reports and the files without one."""
        count = f"{self.written} structured report" + ("s" if self.written != 1 else "")
        lines = [f"{count} in {self._folder}: DICOM files that contain patient identities"]
        if self.not_dicom:
            more = self.not_dicom - len(self._names)
            names = ", ".join(self._names) + (f" and {more} more" if more else "")
            lines.append(f"no report for files that are not DICOM: {names}")
        if self.rejected:
            lines.append(f"no report for {self.rejected} rejected images")
        lines += [f"no report {reason}" for reason in self._reasons]
        if self.unreported > len(self._reasons):
            lines.append(f"no report for {self.unreported - len(self._reasons)} more DICOM files")
        return lines


def _report_name(file: Path, uid: str) -> str:
    """Returns a file name with the start of the input's name, within the 255 bytes of Linux."""
    stem = file.name.removesuffix(file.suffix if file.suffix.lower() == ".dcm" else "")
    # 150 bytes: the UID has up to 64, and a temporary file adds a prefix and a suffix.
    return f"{os.fsencode(stem)[:150].decode(errors='ignore')}.{uid}.dcm"


class _NoReport(Exception):
    """Why there is no report; the message quotes nothing from the file."""


def _is_dicom_file(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return is_dicom(opened.read(132))
    except OSError:
        raise _NoReport("it no longer exists") from None


def _remove_leftovers(folder: Path) -> None:
    """Removes temporary files of `schema.files` whose process was killed."""
    for left in folder.glob(".*.partial"):
        owner = left.name.split(".")[-2].split("-")[0]
        if owner.isdigit() and not is_running(int(owner)):
            left.unlink(missing_ok=True)


def _read(file: Path) -> "Dataset":
    """Reads the attributes for a report, without pixels."""
    import pydicom

    tags = ["SpecificCharacterSet", "Rows", "Columns", "InstanceNumber", *REQUIRED, *COPIED]
    return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(tags))


@contextmanager
def _without_messages() -> Iterator[None]:
    """Suppresses warnings and log lines of the DICOM libraries, which quote values."""
    import pydicom

    silence_pydicom()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield
