"""Gives every listed file its class, patient and official split, or the reason why it has none."""

import os
import posixpath
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from core.ingest.catalog import Catalog, shown
from core.ingest.options import IngestOptions
from core.ingest.source.layout import Place, detect, parents_of_roots, place_of, split_name
from core.ingest.source.rsna import find_tables, place_rsna
from core.ingest.source.tables import read_rows
from schema import labels
from schema.errors import PneumoError


def place_files(catalog: Catalog, source: Path, options: IngestOptions) -> str:
    """Fills in pathogen, patient, source and official split of the files; returns the layout.

    The boxes of the RSNA layout are taken in with its labels.

    Raises:
      PneumoError: the source has no layout that can be read, or the manifest is unusable.
    """
    if options.manifest is not None:
        _place_by_manifest(catalog, source, options.manifest, options)
        return "manifest"
    if options.layout in ("auto", "rsna"):
        tables = find_tables(source)
        if tables is not None:
            place_rsna(catalog, tables)
            return "rsna"
        if options.layout == "rsna":
            raise PneumoError(
                f"{source}: no stage_2_train_labels.csv (patientId, Target) in it (layout rsna)"
            )
    layout = _layout(catalog, source, options)
    _place_by_folder(catalog, layout, options)
    return layout


def _places(catalog: Catalog, options: IngestOptions) -> Iterator[Place]:
    """Yields the meaning of each folder that holds files, once or more."""
    paths = (os.fsdecode(raw) for (raw,) in catalog.db.execute("SELECT path FROM files"))
    classes = options.classes()
    return (place_of(folder, classes) for folder, _ in groupby(paths, posixpath.dirname))


def _layout(catalog: Catalog, source: Path, options: IngestOptions) -> str:
    found = detect(_places(catalog, options))
    if not found:
        if not catalog.count("1"):
            raise PneumoError(
                f"{source}: no JPEG, PNG or DICOM file below it; give the folder of images"
            )
        raise PneumoError(
            f"{source}: no class folder such as NORMAL or train/NORMAL; name yours with "
            "--class-map FOLDER=normal, or give a CSV with --manifest"
        )
    if options.layout == "split_class" and found != "split_class":
        raise PneumoError(
            f"{source}: no folders train/NORMAL and the like (layout split_class); "
            "use --layout class"
        )
    return found if options.layout == "auto" else options.layout


def _place_by_folder(catalog: Catalog, layout: str, options: IngestOptions) -> None:
    with_split = layout == "split_class"
    above = parents_of_roots(
        {
            place.root
            for place in _places(catalog, options)
            if place.pathogen and (place.split or not with_split)
        }
    )
    classes = options.classes()
    last, place = None, Place("", "", "", "")
    for file_id, raw, size in catalog.pages("path, size", "state = 'new'"):
        path = os.fsdecode(raw)
        folder = posixpath.dirname(path)
        if folder != last:
            last, place = folder, place_of(folder, classes)
        if place.root in above:
            twin = posixpath.join(above[place.root], place.inner, posixpath.basename(path))
            if catalog.size_of(twin) == size:
                catalog.skip_file(file_id, "nested copy")
                continue
        if not place.pathogen:
            name = posixpath.basename(folder)
            detail = f"folder {shown(name)!r} is no class; --class-map can name it"
            catalog.reject_file(
                file_id, path, "unknown_class", detail if name else "in no class folder"
            )
        elif with_split and not place.split:
            catalog.reject_file(file_id, path, "outside_layout", "not below train, val or test")
        else:
            given = place.split if with_split else ""
            catalog.place(file_id, path, place.pathogen, given=given)


def _place_by_manifest(
    catalog: Catalog, source: Path, manifest: Path, options: IngestOptions
) -> None:
    _read_manifest(catalog, source, manifest)
    known = {**{p: p for p in labels.PATHOGENS}, **options.classes()}
    for file_id, raw in catalog.pages("path", "state = 'new'"):
        row = catalog.db.execute(
            "SELECT label, patient, split FROM manifest WHERE path = ?", (raw,)
        ).fetchone()
        if row is None:
            catalog.skip_file(file_id, "not in the manifest")
            continue
        catalog.db.execute("UPDATE manifest SET seen = 1 WHERE path = ?", (raw,))
        label, patient, split = row
        path = os.fsdecode(raw)
        pathogen = known.get(label.casefold())
        if pathogen is None:
            detail = f"label {label!r}; --class-map can name it"
            catalog.reject_file(file_id, path, "unknown_class", detail)
        else:
            catalog.place(file_id, path, pathogen, given=split, patient=patient)
    rejected = "SELECT path FROM rejects"
    for (raw,) in catalog.db.execute(
        f"SELECT path FROM manifest WHERE NOT seen AND path NOT IN ({rejected}) ORDER BY path"
    ).fetchall():
        catalog.found += 1
        catalog.reject(os.fsdecode(raw), "missing", "named by the manifest, not in the source")


def _read_manifest(catalog: Catalog, source: Path, manifest: Path) -> None:
    def check(columns: set[str]) -> None:
        if not {"path", "label"} <= columns:
            raise PneumoError(
                f"manifest {manifest}: needs the columns path and label "
                f"(and optionally patient, split); it has {', '.join(sorted(columns)) or 'none'}"
            )

    for line, cells in read_rows(manifest, "manifest", check):
        _add_row(catalog, source, f"manifest {manifest}, line {line}", cells)


def _add_row(catalog: Catalog, source: Path, where: str, cell: dict[str, str]) -> None:
    path = cell["path"]
    if not path:
        raise PneumoError(f"{where}: the path is empty")
    if posixpath.isabs(path):
        path = posixpath.relpath(path, source.as_posix())
    path = posixpath.normpath(path)
    if path.startswith("../"):
        raise PneumoError(f"{where}: {shown(path)} is outside of {source}")
    split = split_name(cell.get("split", ""))
    if cell.get("split") and not split:
        raise PneumoError(f"{where}: split {cell['split']!r}; use train, val or test")
    row = (os.fsencode(path), shown(cell["label"]), shown(cell.get("patient", "")), split)
    done = catalog.db.execute(
        "INSERT OR IGNORE INTO manifest(path, label, patient, split) VALUES (?, ?, ?, ?)", row
    )
    if not done.rowcount:
        raise PneumoError(f"{where}: {shown(path)} is named a second time")
