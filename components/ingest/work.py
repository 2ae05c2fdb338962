"""The pieces of work that Beam hands out: check a chunk of files, write a shard.

An element is a small text that names a list on disk; image bytes never travel through Beam. A piece
writes its result under a temporary name and renames it: a finished result is whole, and doing a
piece twice does no harm.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from schema import features as f
from schema.example import encode
from schema.tfrecord import frame

CHUNK = 64
VERSION = 2  # of what a check finds and of what a shard holds; a new one discards old results


@dataclass(frozen=True)
class WorkFolder:
    """Where a run keeps its pieces, beside the destination.

    Attributes:
      root: the folder.
    """

    root: Path

    @property
    def catalog(self) -> Path:
        """SQLite file of the running run."""
        return self.root / "catalog.sqlite"

    @property
    def lists(self) -> Path:
        """What is to be done: one JSON per chunk, one JSONL per shard."""
        return self.root / "lists"

    @property
    def checks(self) -> Path:
        """Results of chunks; a later run takes up those whose files did not change."""
        return self.root / "checks"

    @property
    def rows(self) -> Path:
        """What each shard holds."""
        return self.root / "rows"

    @property
    def out(self) -> Path:
        """Becomes the destination."""
        return self.root / "out"

    @property
    def ticks(self) -> Path:
        """As many bytes as files are done; the progress bar looks at its size."""
        return self.root / "ticks"


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for writing that gets its name when it is whole."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.{id(path)}.partial")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def json_line(row: dict[str, Any]) -> bytes:
    """One line of a JSONL file; ASCII, so that any file name passes."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSONL file."""
    with path.open("rb") as stream:
        for line in stream:
            yield json.loads(line)


def chunk_lists(
    files: Iterable[tuple[str, int, int]], work: WorkFolder, settings: dict[str, Any]
) -> Iterator[str]:
    """Writes the lists of chunks and yields their names, in the order of the files.

    A name is the digest of everything that the result depends on, so a result that is there already
    under this name can be used again.

    Args:
      files: (path, size, mtime_ns).
      work: where to.
      settings: of the check.
    """
    chunk: list[tuple[str, int, int]] = []
    for file in files:
        chunk.append(file)
        if len(chunk) == CHUNK:
            yield _write_list(chunk, work, settings)
            chunk = []
    if chunk:
        yield _write_list(chunk, work, settings)


def _write_list(
    chunk: list[tuple[str, int, int]], work: WorkFolder, settings: dict[str, Any]
) -> str:
    content = json.dumps({"version": VERSION, **settings, "files": chunk}).encode()
    name = hashlib.sha256(content).hexdigest()[:32]
    with atomic(work.lists / f"{name}.json") as stream:
        stream.write(content)
    return name


def check_chunk(work: WorkFolder, source: Path, name: str, salt: str) -> None:
    """Checks the files of one chunk and writes `checks/NAME.jsonl`."""
    from components.ingest.checks import Refusal

    job = json.loads((work.lists / f"{name}.json").read_bytes())
    with atomic(work.checks / f"{name}.jsonl") as stream, work.ticks.open("ab", 0) as ticks:
        for path, size, mtime in job["files"]:
            row = {"path": path}
            try:
                data = read_unchanged(f"{source}/{path}", size, mtime)
                row |= _checked(data, path, job, salt)
            except Refusal as refusal:
                row |= {"reason": refusal.reason, "detail": refusal.detail}
                row["named"] = refusal.named
            if row.pop("named", False) and job["hide"]:
                row["hidden"] = hidden_name(path, salt)
            stream.write(json_line(row))
            ticks.write(b".")


def _checked(data: bytes, path: str, job: dict[str, Any], salt: str) -> dict[str, Any]:
    from components.ingest.checks import check_image
    from components.ingest.dicom import as_image

    image, facts = as_image(data, path, job, salt)
    return {**check_image(image, job["max_pixels"], job["min_side"]).to_dict(), **facts}


def hidden_name(path: str, salt: str) -> str:
    """A name for a file whose own tells the patient: a digest of salt and path."""
    digest = hashlib.sha256(salt.encode("utf-8", "surrogateescape") + b"\0" + os.fsencode(path))
    return f"dicom-{digest.hexdigest()[:24]}"


def read_unchanged(path: str, size: int, mtime_ns: int) -> bytes:
    """Bytes of a file that is still as it was listed.

    Raises:
      Refusal: it can't be read, is too large, or changed.
    """
    from components.ingest.checks import MAX_BYTES, Refusal

    if size > MAX_BYTES:
        raise Refusal("too_large", f"{size} bytes; at most {MAX_BYTES}")
    try:
        with open(path, "rb") as stream:  # noqa: PTH123, once per image
            data = stream.read(size + 1)
            info = os.fstat(stream.fileno())
    except FileNotFoundError:
        raise Refusal("changed_during_run", "it is gone since it was listed") from None
    except OSError as error:
        raise Refusal("unreadable", error.strerror or type(error).__name__) from None
    if (info.st_size, info.st_mtime_ns) != (size, mtime_ns) or len(data) != size:
        raise Refusal("changed_during_run", "it changed since it was listed")
    return data


def write_shard(work: WorkFolder, source: Path, name: str) -> None:
    """Writes one TFRecord shard from its list, and `rows/NAME.jsonl` that says what is in it.

    The first row of the latter is {"shard", "sha256"}; then a row per record, or per file that
    could not be written after all ({"path", "reason", "detail"}).
    """
    from components.ingest.checks import Refusal

    split = name.split("-", 1)[0]
    digest = hashlib.sha256()
    body = work.rows / f"{name}.body"
    index = 0
    with (
        atomic(work.out / name) as shard,
        atomic(body) as rows,
        work.ticks.open("ab", 0) as ticks,
    ):
        for file in read_lines(work.lists / f"{name}.jsonl"):
            try:
                data = _read_same(f"{source}/{file['path']}", file)
            except Refusal as refusal:
                row = {"path": file["path"], "reason": refusal.reason, "detail": refusal.detail}
            else:
                record = frame(_record(file, data))
                digest.update(record)
                shard.write(record)
                row = _manifest_row(file, split, name, index)
                index += 1
            rows.write(json_line(row))
            ticks.write(b".")
    with atomic(work.rows / f"{name}.jsonl") as whole:
        whole.write(json_line({"shard": name, "sha256": digest.hexdigest()}))
        with body.open("rb") as stream:
            while piece := stream.read(1 << 20):
                whole.write(piece)
    body.unlink()


def _read_same(path: str, file: dict[str, Any]) -> bytes:
    from components.ingest.checks import Refusal
    from components.ingest.dicom import image_again

    data = image_again(read_unchanged(path, file["size"], file["mtime"]))
    if hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise Refusal("changed_during_run", "its bytes changed since they were checked")
    return data


def _record(file: dict[str, Any], data: bytes) -> bytes:
    return encode(
        {
            f.IMAGE_ENCODED: data,
            f.IMAGE_FORMAT: file["format"],
            f.IMAGE_HEIGHT: file["height"],
            f.IMAGE_WIDTH: file["width"],
            f.IMAGE_SHA256: file["sha256"],
            f.IMAGE_FILENAME: file["filename"],
            f.IMAGE_SOURCE: file["source"],
            f.PATIENT_ID: file["patient_id"],
            f.PATHOGEN: file["pathogen"],
            **_boxes(file["boxes"]),
            **file["stats"],
        }
    )


def _boxes(boxes: list[list[float]]) -> dict[str, list[float]]:
    """Relative (ymin, xmin, ymax, xmax) -> the four features."""
    names = (f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX)
    return {name: [box[i] for box in boxes] for i, name in enumerate(names)}


def _manifest_row(file: dict[str, Any], split: str, shard: str, index: int) -> dict[str, Any]:
    kept = {k: v for k, v in file.items() if k not in ("path", "mtime", "size", "stats")}
    kept["boxes"] = len(file["boxes"])
    return {**kept, "split": split, "shard": shard, "index": index, "stats": file["stats"]}
