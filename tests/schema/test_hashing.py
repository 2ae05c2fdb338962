import hashlib
from pathlib import Path

from schema.hashing import fingerprint_of_code, sha256_of_file


def test_sha256_of_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    assert sha256_of_file(file) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_the_fingerprint_follows_code_and_templates_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "a.py").write_text("a = 1")
    (tmp_path / "templates" / "page.j2").write_text("<p>")
    seen = {fingerprint_of_code([tmp_path])}
    (tmp_path / "notes.txt").write_text("not code")
    assert fingerprint_of_code([tmp_path]) in seen
    (tmp_path / "a.py").write_text("a = 2")
    seen.add(fingerprint_of_code([tmp_path]))
    (tmp_path / "templates" / "page.j2").write_text("<b>")
    seen.add(fingerprint_of_code([tmp_path]))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    seen.add(fingerprint_of_code([tmp_path]))
    assert len(seen) == 4
    assert fingerprint_of_code([tmp_path / "b.py"]) not in seen
