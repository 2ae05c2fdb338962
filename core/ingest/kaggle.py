"""Download of a Kaggle data set through kagglehub."""

import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schema.errors import PneumoError
from schema.files import atomic_folder


@dataclass(frozen=True)
class Dataset:
    """A data set on Kaggle.

    Attributes:
      handle: Kaggle's name; the version is pinned where Kaggle has versions.
      competition: whether it belongs to a competition, whose rules must be accepted first.
      page: where a person accepts them, below Kaggle's site.
      next: the command to run next.
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
CREDENTIALS: Final = (
    "make a token on your Kaggle account page, and put it in ~/.kaggle/kaggle.json or in "
    "KAGGLE_USERNAME and KAGGLE_KEY"
)
REFUSALS: Final = {
    401: f"Kaggle refuses the credentials: {CREDENTIALS}",
    403: "Kaggle forbids it: log in there and accept the terms on its page {page}",
    404: "Kaggle does not have {handle} any more; look at its page {page}",
}


def download(name: str, dest: Path) -> Path:
    """Downloads a data set to `dest`, which appears whole or not at all.

    Kagglehub keeps its own copy in its cache (KAGGLEHUB_CACHE) and resumes a broken download; the
    files are hard links into it, or copies on another file system.

    Args:
      name: a key of `DATASETS`.
      dest: a folder that does not exist yet.

    Raises:
      PneumoError: kagglehub, network, credentials or consent is missing, or dest exists.
    """
    if dest.exists():
        raise PneumoError(f"{dest} exists already; remove it or give another folder")
    found = _fetch(DATASETS[name])
    try:
        with atomic_folder(dest) as partial:
            shutil.copytree(found, partial, copy_function=_link, dirs_exist_ok=True)
    except OSError as error:
        raise PneumoError(f"cannot write {dest} ({error.strerror}); choose another") from None
    return dest


def _link(source: str, dest: str) -> None:
    try:
        os.link(source, dest)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, dest)


def _fetch(dataset: Dataset) -> Path:
    try:
        import kagglehub
        import requests
        from kagglehub import cache, exceptions, handle
    except ImportError:
        raise PneumoError(
            'kagglehub is not installed; bring it with: pip install "pneumo-tfx[kaggle]"'
        ) from None
    if dataset.competition:
        get, parse = kagglehub.competition_download, handle.parse_competition_handle
    else:
        get, parse = kagglehub.dataset_download, handle.parse_dataset_handle
    try:
        return Path(get(dataset.handle))
    except (exceptions.UnauthenticatedError, exceptions.CredentialError):
        message = f"Kaggle wants credentials: {CREDENTIALS}"
    except requests.HTTPError as error:
        status: int = getattr(error.response, "status_code", 0)
        other = f"Kaggle answered with an error ({status}); try again later"
        message = REFUSALS.get(status, other).format(page=dataset.page, handle=dataset.handle)
    except (requests.ConnectionError, requests.Timeout):
        message = (
            "Kaggle cannot be reached; check the network (or download by hand from "
            f"{dataset.page} and give the folder to `pneumo run --data`)"
        )
    except requests.RequestException:
        message = "the download broke off; the same command goes on with it"
    except OSError as error:  # after requests' own errors, which are OSErrors too
        message = (
            f"kagglehub cannot write its cache ({error.strerror or error}: {error.filename}); "
            "make room there or name another folder in KAGGLEHUB_CACHE"
        )
    except (exceptions.DataCorruptionError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        message = f"{error}; {CREDENTIALS}"
        if "credentials" not in str(error):
            # Kagglehub would take the damaged archive for a finished download ever after.
            Path(cache.get_cached_archive_path(parse(dataset.handle))).unlink(missing_ok=True)
            message = "the download came damaged; start it again"
    raise PneumoError(message)
