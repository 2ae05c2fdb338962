"""Tables of the catalog."""

import sqlite3
from pathlib import Path

_TABLES = """
CREATE TABLE files(
  id INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER, mtime_ns INTEGER,
  state TEXT NOT NULL DEFAULT 'listed',      -- listed, labeled, usable, skipped, rejected
  filename TEXT, pathogen TEXT, patient TEXT, source TEXT,
  official_split TEXT,                       -- of the folder or the manifest; '' without
  name_pathogen TEXT,                        -- of the file name; '' without
  patient_known INTEGER DEFAULT 0,           -- the key is that of a patient
  patient_fixed INTEGER DEFAULT 0,           -- from a table; DICOM tags do not replace it
  viewer_name TEXT NOT NULL DEFAULT '',      -- see core.ingest.file_names.ParsedName
  source_known INTEGER DEFAULT 0,            -- from a manifest, kept as it is
  box_height INTEGER, box_width INTEGER,     -- size in the pixels that boxes refer to
  sha256 TEXT, pixel_hash TEXT, perceptual_hash BLOB, flat INTEGER,
  record TEXT,                               -- result of the check, a FileRecord
  sort_key TEXT, split TEXT);
CREATE TABLE rejects(path BLOB, reason TEXT, detail TEXT);
CREATE TABLE manifest(
  line INTEGER PRIMARY KEY, path BLOB, label TEXT, patient TEXT, split TEXT, source TEXT,
  file INTEGER);
CREATE TABLE rsna(
  patient TEXT PRIMARY KEY, name TEXT, target TEXT, finding TEXT,
  contradictory INTEGER DEFAULT 0, matched INTEGER DEFAULT 0);
CREATE TABLE boxes(
  id INTEGER PRIMARY KEY, name TEXT, line INTEGER, file INTEGER,
  x0 REAL, y0 REAL, x1 REAL, y1 REAL,        -- pixels; relative once they are clipped
  reason TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '',
  clipped INTEGER NOT NULL DEFAULT 0);
CREATE TABLE patients(patient TEXT PRIMARY KEY, pathogen TEXT, fixed_split TEXT, split TEXT);
CREATE TABLE written(split TEXT, patient TEXT, UNIQUE(split, patient));
"""


def connect(path: Path) -> sqlite3.Connection:
    """Creates an empty catalog in one open transaction; an existing file is replaced."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    # The file is removed after the run, so it needs no journal.
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; " + _TABLES)
    connection.execute("PRAGMA temp_store=FILE")
    connection.execute("BEGIN")
    return connection
