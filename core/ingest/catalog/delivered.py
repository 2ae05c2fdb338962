"""Counts of the labeled files by the split and class of the source, before splits are drawn."""

import sqlite3

Delivered = dict[str, dict[str, dict[str, int]]]


class DeliveredCounts:
    """Counts what the source contains, for comparison with the data set."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def read(self) -> Delivered:
        """Returns split of the source ("" without) -> pathogen -> counts.

        `found` are the labeled files, `rejected` those that were not used, `duplicates` the used
        ones with the same pixels as another used one.
        """
        counts: Delivered = {}
        rows = self._db.execute(
            "SELECT official_split, pathogen, COUNT(*), SUM(state = 'rejected'),"
            " SUM(state = 'usable' AND pixel_hash IN (SELECT pixel_hash FROM files"
            " WHERE state = 'usable' GROUP BY pixel_hash HAVING COUNT(*) > 1))"
            " FROM files WHERE state IN ('usable', 'rejected') AND pathogen IS NOT NULL"
            " GROUP BY official_split, pathogen ORDER BY official_split, pathogen"
        )
        for split, pathogen, *values in rows:
            numbers = dict(zip(("found", "rejected", "duplicates"), values, strict=True))
            counts.setdefault(split, {})[pathogen] = numbers
        return counts
