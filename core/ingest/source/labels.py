"""Labels every listed file by its folder or by a table, or rejects it with a reason."""

import posixpath
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from core.ingest.catalog.database import Catalog
from core.ingest.file_names import printable
from core.ingest.options import IngestOptions
from core.ingest.source.class_map import check_class_map
from core.ingest.source.layout import (
    FolderLabels,
    detect_layout,
    no_class,
    parents_of_roots,
    parse_folder,
)
from core.ingest.source.manifest import label_by_manifest
from core.ingest.source.masks import is_mask
from core.ingest.source.rsna import find_tables, label_rsna
from schema.errors import PneumoError, closest

_SHOWN: Final = 5  # folders in a message


def label_files(catalog: Catalog, source: Path, options: IngestOptions) -> str:
    """Labels the files (pathogen, patient, batch, official split) and returns the layout.

    For the RSNA layout, adds the boxes too.

    Raises:
      PneumoError: the source has no known layout, or the manifest is unusable.
    """
    if options.manifest is not None:
        label_by_manifest(catalog, source, options.manifest, options)
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
    parts = {part for path in _folder_names(catalog) for part in path.split("/") if part}
    check_class_map(options, parts)
    layout = _layout(catalog, source, options)
    _label_by_folder(catalog, layout, options)
    return layout


def _folders(catalog: Catalog, options: IngestOptions) -> Iterator[FolderLabels]:
    """Yields the folders that contain files, each once or more."""
    classes = options.classes()
    return (parse_folder(folder, classes) for folder in _folder_names(catalog))


def _folder_names(catalog: Catalog) -> Iterator[str]:
    return (folder for folder, _ in groupby(catalog.files.paths(), posixpath.dirname))


def _layout(catalog: Catalog, source: Path, options: IngestOptions) -> str:
    detected = detect_layout(_folders(catalog, options))
    if not detected:
        if not catalog.files.count_listed():
            raise PneumoError(
                f"{source}: no JPEG, PNG or DICOM file below it; give the folder of images"
            )
        raise PneumoError(
            f"{source}: no class folder such as NORMAL or train/NORMAL{_named(catalog, options)}; "
            "name yours with --class-map FOLDER=normal, or give a CSV with --manifest "
            "(data.ingest.class_map, data.ingest.manifest)"
        )
    if options.layout == "split_class" and detected != "split_class":
        raise PneumoError(
            f"{source}: no folders train/NORMAL and the like (layout split_class); "
            "set layout class (`pneumo ingest --layout class`, data.ingest.layout)"
        )
    return detected if options.layout == "auto" else options.layout


def _named(catalog: Catalog, options: IngestOptions) -> str:
    """Returns the names of the folders, and the first that is almost the name of a class."""
    names = sorted({printable(posixpath.basename(path)) for path in _folder_names(catalog)} - {""})
    more = ", ..." if len(names) > _SHOWN else ""
    classes = [name.upper() for name in options.classes()]
    meant = next(((name, near) for name in names if (near := closest(name, classes))), None)
    question = f" (folder {meant[0]!r}: did you mean {meant[1]}?)" if meant else ""
    return f" among {', '.join(names[:_SHOWN])}{more}{question}" if names else ""


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
            if is_mask(path):
                detail = "its path is that of a mask; to use the image, name it in a manifest"
                catalog.files.reject(path, "mask", detail)
            elif not folder.pathogen:
                detail = "in no class folder"
                if base := posixpath.basename(name):
                    detail = no_class("folder", printable(base), classes)
                catalog.files.reject(path, "unknown_class", detail)
            elif with_split and not folder.split:
                catalog.files.reject(path, "outside_layout", "not below train, val or test")
            else:
                split = folder.split if with_split else ""
                catalog.files.label(path, folder.pathogen, official_split=split)
