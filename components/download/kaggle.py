"""Downloads a data set of Kaggle and puts it where the user wants it."""

import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schema.errors import PneumoError


@dataclass(frozen=True)
class Dataset:
    """A data set that Kaggle offers.

    Attributes:
      handle: Kaggle's name of it; the version is pinned where Kaggle has versions.
      competition: it belongs to a competition, whose rules must be accepted first.
      page: where a person accepts them, below Kaggle's site.
      next: what to do with it.
    """

    handle: str
    competition: bool
    page: str
    next: str


DATASETS: Final = {
    "kaggle": Dataset(
        "paultimothymooney/chest-xray-pneumonia/versions/2",
        competition=False,
        page="datasets/paultimothymooney/chest-xray-pneumonia",
        next="pneumo run --data",
    ),
    "rsna": Dataset(
        "rsna-pneumonia-detection-challenge",
        competition=True,
        page="competitions/rsna-pneumonia-detection-challenge/rules",
        next="pneumo run --config rsna --data",
    ),
}
CREDENTIALS = (
    "make a token on your Kaggle account page, and put it in ~/.kaggle/kaggle.json or in "
    "KAGGLE_USERNAME and KAGGLE_KEY"
)


def download(name: str, dest: Path) -> Path:
    """Downloads a data set to `dest`, which appears whole or not at all.

    Kagglehub keeps its own copy in its cache (KAGGLEHUB_CACHE) and goes on with a broken download;
    the files are linked from there, or copied where they cannot be.

    Args:
      name: a key of `DATASETS`.
      dest: a folder that does not exist yet.

    Raises:
      PneumoError: kagglehub, network, credentials or consent is missing, or dest exists.
    """
    if dest.exists():
        raise PneumoError(f"{dest} exists already; remove it or give another folder")
    found = fetch(DATASETS[name])
    partial = dest.with_name(f".{dest.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(found, partial, copy_function=_link)
        partial.rename(dest)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise PneumoError(f"cannot write {dest} ({error.strerror}); choose another") from None
    return dest


def _link(source: str, dest: str) -> str:
    try:
        os.link(source, dest)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, dest)
    return dest


def fetch(dataset: Dataset) -> Path:
    """The folder in kagglehub's cache, downloaded if need be.

    Raises:
      PneumoError: one line for each thing that may be missing.
    """
    try:
        import kagglehub
        import requests
        from kagglehub import exceptions
    except ImportError:
        raise PneumoError(
            'kagglehub is not installed; bring it with: pip install "pneumo-tfx[kaggle]"'
        ) from None
    get = kagglehub.competition_download if dataset.competition else kagglehub.dataset_download
    try:
        return Path(get(dataset.handle))
    except (exceptions.UnauthenticatedError, exceptions.CredentialError):
        raise PneumoError(f"Kaggle wants credentials: {CREDENTIALS}") from None
    except requests.HTTPError as error:
        raise PneumoError(_refused(dataset, error)) from None
    except (requests.ConnectionError, requests.Timeout):
        raise PneumoError(
            "Kaggle cannot be reached; check the network (or download by hand from "
            f"{dataset.page} and give the folder to `pneumo run --data`)"
        ) from None
    except requests.RequestException:
        raise PneumoError("the download broke off; the same command goes on with it") from None
    except OSError as error:  # after requests' own errors, which are OSErrors too
        raise PneumoError(
            f"kagglehub cannot write its cache ({error.strerror or error}: {error.filename}); "
            "make room there or name another folder in KAGGLEHUB_CACHE"
        ) from None
    except (exceptions.DataCorruptionError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        if "credentials" in str(error):
            raise PneumoError(f"{error}; {CREDENTIALS}") from None
        # Kagglehub would take a whole but useless archive for a finished download ever after.
        _cached_archive(dataset).unlink(missing_ok=True)
        raise PneumoError("the download came damaged; start it again") from None


def _cached_archive(dataset: Dataset) -> Path:
    from kagglehub import handle
    from kagglehub.cache import get_cached_archive_path

    parse = handle.parse_competition_handle if dataset.competition else handle.parse_dataset_handle
    return Path(get_cached_archive_path(parse(dataset.handle)))


def _refused(dataset: Dataset, error: "OSError") -> str:
    response = getattr(error, "response", None)
    status = response.status_code if response is not None else None
    if status == 401:
        return f"Kaggle refuses the credentials: {CREDENTIALS}"
    if status == 403:
        return f"Kaggle forbids it: log in there and accept the terms on its page {dataset.page}"
    if status == 404:
        return f"Kaggle does not have {dataset.handle} any more; look at its page {dataset.page}"
    return f"Kaggle answered with an error ({status}); try again later"
