"""However a manifest is written, it names the same files."""

import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.catalog.database import Catalog
from core.ingest.options import IngestOptions
from core.ingest.scan import SourceEntry
from core.ingest.source.manifest import label_by_manifest
from schema.errors import PneumoError
from tests.core.ingest.trees import checked

FILES = ["one/niño 1.jpeg", "one/b.PNG", "two/Größe.jpg", "two/sub/d.jpeg", "e.png"]
LABELS = ["normal", "bacteria", "virus", "other", "normal"]


def labels(
    folder: Path, files: list[str], manifest: bytes, **options: dict[str, str]
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Returns the pathogen of each file, and the rejects."""
    (folder / "source").mkdir(exist_ok=True)
    path = folder / "m.csv"
    path.write_bytes(manifest)
    catalog = Catalog(folder / "catalog")
    try:
        catalog.files.add_entries(SourceEntry(file, "file") for file in files)
        source = (folder / "source").resolve()
        label_by_manifest(catalog, source, path, IngestOptions(manifest=path, **options))
        rejects = list(catalog.files.rejects())
        rows = catalog._connection.execute(
            "SELECT filename, pathogen FROM files WHERE state = 'labeled'"
        )
        return dict(rows.fetchall()), rejects
    finally:
        catalog.close()


def write_path(path: str, form: str, unicode_form: str, source: Path) -> str:
    path = unicodedata.normalize(unicode_form, path)
    return {
        "as it is": path,
        "windows": path.replace("/", "\\"),
        "dot": f"./{path}",
        "windows dot": ".\\" + path.replace("/", "\\"),
        "upper": path.upper(),
        "no suffix": path.rpartition(".")[0],
        "base name": path.rpartition("/")[2],
        "absolute": f"{source}/{path}",
        "below the name of the source": f"{source.name}/{path}",
        "drive": "C:\\Users\\me\\" + path.replace("/", "\\"),
        "spaces": f" {path} ",
    }[form]


PATH_FORMS = (
    "as it is", "windows", "dot", "windows dot", "upper", "no suffix", "base name", "absolute",
    "below the name of the source", "drive", "spaces",
)  # fmt: skip


@given(
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    forms=st.lists(st.sampled_from(PATH_FORMS), min_size=5, max_size=5),
    in_table=st.sampled_from(["NFC", "NFD"]),
    on_disk=st.sampled_from(["NFC", "NFD"]),
    empty_rows=st.integers(0, 2),
    repeated=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_variants_of_a_manifest_give_the_same_labels(
    tmp_path_factory: pytest.TempPathFactory,
    separator: str,
    encoding: str,
    end: str,
    forms: list[str],
    in_table: str,
    on_disk: str,
    empty_rows: int,
    repeated: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "variants"
    folder.mkdir(exist_ok=True)
    form = "NFC" if encoding == "cp1252" else in_table
    rows = [
        [write_path(file, how, form, folder / "source"), label, "é"]
        for file, how, label in zip(FILES, forms, LABELS, strict=True)
    ]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=end)
    writer.writerows([[" Path ", "LABEL", "note"], *rows, *rows[: int(repeated)]])
    writer.writerows([["", "", ""]] * empty_rows)
    files = [unicodedata.normalize(on_disk, file) for file in FILES]
    found, rejects = labels(folder, files, out.getvalue().encode(encoding))
    assert rejects == []
    assert found == dict(zip(files, LABELS, strict=True))


@pytest.mark.parametrize(
    ("files", "rows", "message"),
    [
        (["a/x.png", "b/x.png"], "x.png,normal", "line 2: x.png fits a/x.png and b/x.png"),
        (["a.png", "a.jpeg"], "a,normal", "fits a.jpeg and a.png"),
        (["x.png", "X.png"], "X.PNG,normal", "fits X.png and x.png"),
        (["a.png"], "a.png,normal\nA.PNG,virus", "lines 2 and 3 name a.png and differ"),
        (["a.png"], "/etc/passwd,normal", "/etc/passwd is outside of"),
        (["a.png"], "..\\a.png,normal", r"\.\./a.png is outside of"),
        (["a.png"], ",normal", "line 2: the path is empty"),
        (["a.png"], ",", "no row below the columns"),
        (["a.png"], "a.png,Gesnd", "class_map: 'gesund' names no folder.*did you mean 'Gesnd'"),
    ],
)
def test_ambiguous_and_contradictory_rows(
    tmp_path: Path, files: list[str], rows: str, message: str
) -> None:
    with pytest.raises(PneumoError, match=message):
        labels(tmp_path, files, f"path,label\n{rows}\n".encode(), class_map={"Gesund": "normal"})


@pytest.mark.parametrize(
    ("files", "row", "hint"),
    [
        (["images/normal_00.png"], "nromal_00.png", "; did you mean images/normal_00.png?"),
        (["images/normal-00.png", "z.png"], "normal_00", "; did you mean images/normal-00.png?"),
        (["images/other.png"], "zzz.png", ""),
        (["images/Mueller_Hans.dcm"], "Mueler_Hans.dcm", ""),
    ],
)
def test_nearest_file(tmp_path: Path, files: list[str], row: str, hint: str) -> None:
    _, rejects = labels(tmp_path, files, f"path,label\n{row},normal\n".encode())
    expected = f"named by the manifest, not in the source{hint}"
    assert [(one["reason"], one["detail"]) for one in rejects] == [("missing", expected)]


def test_row_without_a_label(tmp_path: Path) -> None:
    found, rejects = labels(tmp_path, ["a.png", "b.png"], b"path,label\na.png\nb.png,normal\n")
    assert found == {"b.png": "normal"}
    assert rejects[0]["detail"] == "the manifest has no label for it"


def test_exact_name_has_priority(tmp_path: Path) -> None:
    files = ["x.png", "X.PNG", "a/x.png"]
    rows = "x.png,normal\nX.PNG,virus\na/x.png,bacteria"
    found, _ = labels(tmp_path, files, f"path,label\n{rows}\n".encode())
    assert found == {"x.png": "normal", "X.PNG": "virus", "a/x.png": "bacteria"}


@pytest.mark.parametrize("label", ["0", "0.0", "0,0", "Gesund", "GESUND", "Gesund "])
def test_labels_are_folded(tmp_path: Path, label: str) -> None:
    options = {"0": "normal", "Gesund": "normal"}
    manifest = f'path,label\na.png,"{label}"\n'.encode()
    assert labels(tmp_path, ["a.png"], manifest, class_map=options)[0] == {"a.png": "normal"}


@pytest.mark.parametrize(
    "column", ["patient", "Patient_ID", "PatientID", " patient id", "subject_id", "SUBJECT"]
)
def test_columns_of_patients(tmp_path: Path, column: str) -> None:
    (tmp_path / "m.csv").write_text(f"path,label,{column}\na.png,normal,P7\nb.png,normal,NaN\n")
    catalog = Catalog(tmp_path / "catalog")
    catalog.files.add_entries([SourceEntry("a.png", "file"), SourceEntry("b.png", "file")])
    label_by_manifest(catalog, tmp_path, tmp_path / "m.csv", IngestOptions())
    for path in ("a.png", "b.png"):
        catalog.files.add_check(checked(path, pixel_hash=path), sort_key="")
    catalog.splits.collect_patients(keep_official=False)
    assert [patient.key for patient in catalog.splits.patients()] == ["P7", "image:b.png"]
    assert catalog.splits.count_unknown() == 1
