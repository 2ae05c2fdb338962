import hashlib
from pathlib import Path

from schema.hashing import sha256_of_file


def test_sha256_of_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    assert sha256_of_file(file) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
