"""Labels every listed file by its folder or by a table, or rejects it with a reason."""

import posixpath
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from core.ingest.catalog.database import Catalog
from core.ingest.catalog.labels import ManifestLabel
from core.ingest.file_names import printable
from core.ingest.options import IngestOptions
from core.ingest.source.csv_tables import read_rows
from core.ingest.source.layout import (
    FolderLabels,
    detect_layout,
    parents_of_roots,
    parse_folder,
    split_name,
)
from core.ingest.source.rsna import find_tables, label_rsna
from schema import labels
from schema.errors import PneumoError


def label_files(catalog: Catalog, source: Path, options: IngestOptions) -> str:
    """Labels the files (pathogen, patient, batch, official split) and returns the layout.

    For the RSNA layout, adds the boxes too.

    Raises:
      PneumoError: the source has no known layout, or the manifest is unusable.
    """
    if options.manifest is not None:
        _label_by_manifest(catalog, source, options.manifest, options)
        return "manifest"
    if options.layout in ("auto", "rsna"):
        tables = find_tables(source)
        if tables is not None:
            label_rsna(catalog, tables)
            return "rsna"
        if options.layout == "rsna":
            raise PneumoError(
                f"{source}: no stage_2_train_labels.csv (patientId, Target) in it (layout rsna)"
            )
    layout = _layout(catalog, source, options)
    _label_by_folder(catalog, layout, options)
    return layout


def _folders(catalog: Catalog, options: IngestOptions) -> Iterator[FolderLabels]:
    """Yields the folders that contain files, each once or more."""
    classes = options.classes()
    folders = groupby(catalog.files.paths(), posixpath.dirname)
    return (parse_folder(folder, classes) for folder, _ in folders)


def _layout(catalog: Catalog, source: Path, options: IngestOptions) -> str:
    detected = detect_layout(_folders(catalog, options))
    if not detected:
        if not catalog.files.count_listed():
            raise PneumoError(
                f"{source}: no JPEG, PNG or DICOM file below it; give the folder of images"
            )
        raise PneumoError(
            f"{source}: no class folder such as NORMAL or train/NORMAL; name yours with "
            "--class-map FOLDER=normal, or give a CSV with --manifest"
        )
    if options.layout == "split_class" and detected != "split_class":
        raise PneumoError(
            f"{source}: no folders train/NORMAL and the like (layout split_class); "
            "use --layout class"
        )
    return detected if options.layout == "auto" else options.layout


def _label_by_folder(catalog: Catalog, layout: str, options: IngestOptions) -> None:
    with_split = layout == "split_class"
    parents = parents_of_roots(
        {
            folder.root
            for folder in _folders(catalog, options)
            if folder.pathogen and (folder.split or not with_split)
        }
    )
    classes = options.classes()
    files = groupby(catalog.files.unlabeled(), lambda file: posixpath.dirname(file[0]))
    for name, members in files:
        folder = parse_folder(name, classes)
        for path, size in members:
            if folder.root in parents:
                original = posixpath.join(parents[folder.root], folder.inner)
                original = posixpath.join(original, posixpath.basename(path))
                if catalog.files.size_of(original) == size:
                    catalog.files.skip(path, "nested copy")
                    continue
            if not folder.pathogen:
                detail = "in no class folder"
                if base := posixpath.basename(name):
                    detail = f"folder {printable(base)!r} is no class; --class-map can name it"
                catalog.files.reject(path, "unknown_class", detail)
            elif with_split and not folder.split:
                catalog.files.reject(path, "outside_layout", "not below train, val or test")
            else:
                split = folder.split if with_split else ""
                catalog.files.label(path, folder.pathogen, official_split=split)


def _label_by_manifest(
    catalog: Catalog, source: Path, manifest: Path, options: IngestOptions
) -> None:
    _read_manifest(catalog, source, manifest, options.source_column)
    pathogens = {**{p: p for p in labels.PATHOGENS}, **options.classes()}
    for path, _ in catalog.files.unlabeled():
        row = catalog.manifest.match(path)
        if row is None:
            catalog.files.skip(path, "not in the manifest")
            continue
        pathogen = pathogens.get(row.label.casefold())
        if pathogen is None:
            detail = f"label {row.label!r}; --class-map can name it"
            catalog.files.reject(path, "unknown_class", detail)
        else:
            catalog.files.label(
                path,
                pathogen,
                official_split=row.split,
                patient=row.patient,
                source=row.source,
                source_known=bool(row.source),
            )
    for path in catalog.manifest.unmatched():
        catalog.files.add_missing(path, "named by the manifest, not in the source")


def _read_manifest(
    catalog: Catalog, source: Path, manifest: Path, source_column: str | None
) -> None:
    batch = (source_column or "source").strip().casefold()

    def check(columns: set[str]) -> None:
        if not {"path", "label"} <= columns:
            raise PneumoError(
                f"manifest {manifest}: needs the columns path and label "
                f"(and optionally patient, split, source); it has "
                f"{', '.join(sorted(columns)) or 'none'}"
            )
        if source_column is not None and batch not in columns:
            raise PneumoError(
                f"manifest {manifest}: has no column {source_column!r} (source_column); it has "
                f"{', '.join(sorted(columns))}"
            )

    for line, cells in read_rows(manifest, "manifest", check):
        _add_row(catalog, source, f"manifest {manifest}, line {line}", cells, batch)


def _add_row(catalog: Catalog, source: Path, where: str, cells: dict[str, str], batch: str) -> None:
    path = cells["path"]
    if not path:
        raise PneumoError(f"{where}: the path is empty")
    if posixpath.isabs(path):
        path = posixpath.relpath(path, source.as_posix())
    path = posixpath.normpath(path)
    if path.startswith("../"):
        raise PneumoError(f"{where}: {printable(path)} is outside of {source}")
    split = split_name(cells.get("split", ""))
    if cells.get("split") and not split:
        raise PneumoError(f"{where}: split {cells['split']!r}; use train, val or test")
    patient = printable(cells.get("patient", ""))
    label = ManifestLabel(
        printable(cells["label"]), patient, split, printable(cells.get(batch, ""))
    )
    if not catalog.manifest.add(path, label):
        raise PneumoError(f"{where}: {printable(path)} occurs twice")
