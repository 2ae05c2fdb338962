from core.ingest.file_record import FileRecord, decode_record, encode_record

LISTED = FileRecord(path="a\udcff.png", size=0, mtime_ns=1)
WRITTEN = FileRecord(
    path="a.dcm",
    size=3,
    mtime_ns=1,
    filename="a.dcm",
    patient_id="p",
    boxes=[[0.1, 0.2, 0.3, 0.4]],
    height=2,
    width=3,
    dicom={"rows": 2},
    split="train",
    index=0,
)


def test_decode_inverts_encode_and_unset_fields_are_omitted():
    for record in (LISTED, WRITTEN):
        assert decode_record(encode_record(record)) == record
    assert LISTED.to_dict() == {"path": "a\udcff.png", "size": 0, "mtime_ns": 1}


def test_manifest_row_counts_boxes_and_has_no_path():
    row = WRITTEN.manifest_row()
    assert (row["boxes"], row["index"], row["dicom"]) == (1, 0, {"rows": 2})
    assert not {"path", "size", "mtime_ns", "reason"} & row.keys()
    assert "dicom" not in LISTED.manifest_row()
