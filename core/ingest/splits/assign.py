"""Decides the policy and writes the split of every file into the catalog."""

from collections.abc import Iterator

from core.ingest.catalog import Catalog
from core.ingest.options import IngestOptions
from core.ingest.splits.policy import Patient, assign
from schema.errors import PneumoError

_DRAWN = "state = 'ok' AND NOT (? AND given = 'test')"


def choose_policy(catalog: Catalog, layout: str, options: IngestOptions) -> str:
    """Policy that `auto` stands for, or the one asked for.

    Files without an official split are rejected where the policy needs one.

    Raises:
      PneumoError: the policy needs official splits that the source doesn't have.
    """
    given = {
        row[0]
        for row in catalog.db.execute("SELECT DISTINCT given FROM files WHERE state = 'todo'")
    }
    policy: str = options.split
    if policy == "auto":
        if layout == "manifest" and {"train", "val", "test"} <= given:
            policy = "given"
        else:
            policy = "given_patient_val" if {"train", "test"} <= given else "patient"
    if policy == "patient":
        return policy
    needed = {"train", "test"} if policy == "given_patient_val" else {"train"}
    if not needed <= given:
        raise PneumoError(
            f"split policy {policy} needs {' and '.join(sorted(needed))} in the source, found "
            f"{', '.join(sorted(given - {''})) or 'no splits'}; use --split patient"
        )
    for file_id, path in catalog.pages("path", "state = 'todo' AND given = ''"):
        catalog.reject_file(file_id, path.decode("utf-8", "surrogateescape"), "no_split", policy)
    return policy


def split_files(catalog: Catalog, policy: str, options: IngestOptions) -> None:
    """Writes the split of every usable file; see core.ingest.splits.policy."""
    db = catalog.db
    if policy == "given":
        db.execute("UPDATE files SET split = given WHERE state = 'ok'")
        return
    keeps_test = policy == "given_patient_val"
    _rarest_labels(catalog, keeps_test)
    if keeps_test:
        # Who is in the official val goes to val wholly.
        db.execute(
            "UPDATE patients SET fixed = 'val' WHERE key IN"
            " (SELECT patient FROM files WHERE state = 'ok' AND given = 'val')"
        )

    def patients() -> Iterator[Patient]:
        rows = db.execute("SELECT key, label, fixed FROM patients ORDER BY key")
        return map(Patient._make, rows)

    test = 0.0 if keeps_test else options.test_fraction
    rows = (
        (split, key) for key, split in assign(patients, options.seed, options.val_fraction, test)
    )
    db.execute("CREATE TEMP TABLE drawn(split TEXT, key TEXT)")
    db.executemany("INSERT INTO drawn VALUES (?, ?)", rows)
    db.execute("UPDATE patients SET split = drawn.split FROM drawn WHERE drawn.key = patients.key")
    db.execute("DROP TABLE drawn")
    db.execute(
        f"UPDATE files SET split = patients.split FROM patients"
        f" WHERE patients.key = files.patient AND {_DRAWN}",
        (keeps_test,),
    )
    if keeps_test:
        db.execute("UPDATE files SET split = 'test' WHERE state = 'ok' AND given = 'test'")


def _rarest_labels(catalog: Catalog, keeps_test: bool) -> None:
    """Fills the table of patients, each with the rarest of its labels."""
    catalog.db.execute(
        f"""
        WITH drawn AS (SELECT DISTINCT patient, pathogen FROM files WHERE {_DRAWN}),
        rarity AS (SELECT pathogen, COUNT(*) AS n FROM drawn GROUP BY pathogen),
        ranked AS (
          SELECT patient, drawn.pathogen AS label,
            ROW_NUMBER() OVER (PARTITION BY patient ORDER BY n, drawn.pathogen) AS place
          FROM drawn JOIN rarity ON rarity.pathogen = drawn.pathogen)
        INSERT INTO patients(key, label, fixed)
        SELECT patient, label, '' FROM ranked WHERE place = 1
        """,
        (keeps_test,),
    )
