"""The catalog as a whole."""

from pathlib import Path

from core.ingest.catalog.boxes import BoxTable
from core.ingest.catalog.delivered import DeliveredCounts
from core.ingest.catalog.files import FileTable
from core.ingest.catalog.labels import ManifestTable, RsnaTable
from core.ingest.catalog.leakage import LeakageQueries
from core.ingest.catalog.names import NameIndex
from core.ingest.catalog.schema import connect
from core.ingest.catalog.splits import SplitTable


class Catalog:
    """All that one run of ingest knows, on disk, so that memory does not grow with the source.

    For one thread.

    Attributes:
      files: files, rejects and skipped files.
      names: finds the files that tables name.
      manifest: rows of a manifest.
      rsna: rows of the tables of the RSNA challenge.
      boxes: boxes of opacities.
      splits: patients and their splits.
      leakage: duplicates and contradictions among the usable files.
      delivered: counts by the split and class of the source.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self.files = FileTable(self._connection)
        self.names = NameIndex(self._connection)
        self.manifest = ManifestTable(self._connection)
        self.rsna = RsnaTable(self._connection)
        self.boxes = BoxTable(self._connection, self.names)
        self.splits = SplitTable(self._connection)
        self.leakage = LeakageQueries(self._connection)
        self.delivered = DeliveredCounts(self._connection)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()
