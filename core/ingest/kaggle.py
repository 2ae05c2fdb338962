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
class KaggleDataset:
    """A data set on Kaggle.

    Attributes:
      handle: identifier on Kaggle, with the version if there are versions.
      competition: whether it belongs to a competition, whose rules must be accepted first.
      page: path on Kaggle's site where they are accepted.
      next: the command to run next.
    """

    handle: str
    competition: bool
    page: str
    next: str


DATASETS: Final = {
    "kaggle": KaggleDataset(
        "paultimothymooney/chest-xray-pneumonia/versions/2",
        competition=False,
        page="datasets/paultimothymooney/chest-xray-pneumonia",
        next="pneumo run --data",
    ),
    "rsna": KaggleDataset(
        "rsna-pneumonia-detection-challenge",
        competition=True,
        page="competitions/rsna-pneumonia-detection-challenge/rules",
        next="pneumo run --config rsna --data",
    ),
}
CREDENTIALS: Final = (
    "create a token on your Kaggle account page, and put it in ~/.kaggle/kaggle.json or in "
    "KAGGLE_USERNAME and KAGGLE_KEY"
)
REFUSALS: Final = {
    401: f"Kaggle rejects the credentials: {CREDENTIALS}",
    403: "Kaggle denies access: log in there and accept the terms on its page {page}",
    404: "Kaggle has no data set {handle}; see its page {page}",
}


def download(name: str, dest: Path) -> Path:
    """Downloads a data set to `dest`, which is complete or missing.

    Kagglehub keeps a copy in its cache (KAGGLEHUB_CACHE) and resumes an interrupted download; the
    files are hard links into the cache, or copies on another file system.

    Args:
      name: a key of `DATASETS`.
      dest: a folder that does not exist yet.

    Raises:
      PneumoError: kagglehub, network, credentials or consent is missing, or `dest` exists.
    """
    if dest.exists():
        raise PneumoError(f"{dest} exists already; remove it or give another folder")
    cached = _fetch(DATASETS[name])
    try:
        with atomic_folder(dest) as partial:
            shutil.copytree(cached, partial, copy_function=_link, dirs_exist_ok=True)
    except OSError as error:
        raise PneumoError(f"cannot write {dest} ({error.strerror}); give another folder") from None
    return dest


def _link(source: str, dest: str) -> None:
    try:
        os.link(source, dest)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, dest)


def _fetch(dataset: KaggleDataset) -> Path:
    try:
        import kagglehub
        import requests
        from kagglehub import cache, exceptions, handle
    except ImportError:
        raise PneumoError(
            'kagglehub is not installed; install it with: pip install "pneumo-tfx[kaggle]"'
        ) from None
    if dataset.competition:
        get, parse = kagglehub.competition_download, handle.parse_competition_handle
    else:
        get, parse = kagglehub.dataset_download, handle.parse_dataset_handle
    try:
        return Path(get(dataset.handle))
    except (exceptions.UnauthenticatedError, exceptions.CredentialError):
        message = f"Kaggle requires credentials: {CREDENTIALS}"
    except requests.HTTPError as error:
        status: int = getattr(error.response, "status_code", 0)
        other = f"Kaggle returned an error ({status}); try again later"
        message = REFUSALS.get(status, other).format(page=dataset.page, handle=dataset.handle)
    except (requests.ConnectionError, requests.Timeout):
        message = (
            "Kaggle cannot be reached; check the network, or download manually from "
            f"{dataset.page} and give the folder to `pneumo run --data`"
        )
    except requests.RequestException:
        message = "the download was interrupted; repeat the command to resume"
    except OSError as error:  # after requests' own errors, which are OSErrors too
        message = (
            f"kagglehub cannot write its cache ({error.strerror or error}: {error.filename}); "
            "free some space there or set KAGGLEHUB_CACHE to another folder"
        )
    except (exceptions.DataCorruptionError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        message = f"{error}; {CREDENTIALS}"
        if "credentials" not in str(error):
            # Otherwise kagglehub would use the damaged archive as a finished download.
            Path(cache.get_cached_archive_path(parse(dataset.handle))).unlink(missing_ok=True)
            message = "the downloaded archive was damaged and removed; repeat the command"
    raise PneumoError(message)
