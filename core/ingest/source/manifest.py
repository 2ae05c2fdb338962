"""Labels files by a manifest: a CSV with a row for each image."""

from pathlib import Path
from typing import Final

from core.ingest.catalog.database import Catalog
from core.ingest.catalog.labels import ManifestLabel
from core.ingest.catalog.names import HINTS
from core.ingest.file_names import printable
from core.ingest.names.folding import fold, fold_label
from core.ingest.names.matching import is_absolute, portable_path, relative_to_source
from core.ingest.options import IngestOptions
from core.ingest.source.class_map import check_class_map
from core.ingest.source.csv_tables import read_rows
from core.ingest.source.layout import no_class, split_name
from schema import labels
from schema.errors import PneumoError

# Names of the column of patients, as public tables write them; the first that is there counts.
PATIENT_COLUMNS: Final = (
    *("patient", "patient_id", "patientid", "patient id"),
    *("subject_id", "subjectid", "subject id", "subject"),
)


def label_by_manifest(
    catalog: Catalog, source: Path, manifest: Path, options: IngestOptions
) -> None:
    """Labels the files that the manifest names; the others are skipped.

    Raises:
      PneumoError: the manifest can't be read, a row is invalid or fits several files, or two rows
        contradict each other.
    """
    _read(catalog, source, manifest, options.source_column)
    _match(catalog, source, manifest)
    check_class_map(options, catalog.manifest.labels())
    pathogens = {**{p: p for p in labels.PATHOGENS}, **options.classes()}
    for path, _ in catalog.files.unlabeled():
        row = catalog.manifest.label_of(path)
        if row is None:
            catalog.files.skip(path, "not in the manifest")
            continue
        pathogen = pathogens.get(fold_label(row.label))
        if pathogen is None:
            named = no_class("label", row.label, pathogens)
            detail = named if row.label else "the manifest has no label for it"
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
    for n, path in enumerate(catalog.manifest.unmatched()):
        near = catalog.names.nearest(path) if n < HINTS else ""
        hint = f"; did you mean {near}?" if near else ""
        catalog.files.add_missing(path, f"named by the manifest, not in the source{hint}")


def _read(catalog: Catalog, source: Path, manifest: Path, source_column: str | None) -> None:
    batch = fold(source_column or "source")

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

    rows = 0
    for line, cells in read_rows(manifest, "manifest", check):
        where = f"manifest {manifest}, line {line}"
        path = portable_path(cells["path"])
        if not path:
            raise PneumoError(f"{where}: the path is empty")
        path = relative_to_source(path, source, manifest.parent)
        split = split_name(cells.get("split", ""))
        if cells.get("split") and not split:
            raise PneumoError(f"{where}: split {cells['split']!r}; use train, val or test")
        patient = next((cells[name] for name in PATIENT_COLUMNS if name in cells), "")
        label = ManifestLabel(cells["label"], patient, split, cells.get(batch, ""))
        catalog.manifest.add(line, path, label)
        rows += 1
    if not rows:
        raise PneumoError(f"manifest {manifest}: no row below the columns; add one for each image")


def _match(catalog: Catalog, source: Path, manifest: Path) -> None:
    for line, path in catalog.manifest.match_exactly():
        where = f"manifest {manifest}, line {line}: {printable(path)}"
        if path.startswith("../") or (is_absolute(path) and Path(path).exists()):
            raise PneumoError(f"{where} is outside of {source}")
        paths = catalog.names.find(path, "listed", source, manifest.parent)
        if len(paths) > 1:
            raise PneumoError(
                f"{where} fits {printable(paths[0])} and {printable(paths[1])}; write the path "
                f"below {source}"
            )
        if paths:
            catalog.manifest.assign(line, paths[0])
    if twice := catalog.manifest.contradiction():
        path, first, second = twice
        raise PneumoError(
            f"manifest {manifest}: lines {first} and {second} name {printable(path)} and differ in "
            "label, patient, split or source; remove one"
        )
