"""Rules of the import graph that no contract of import-linter can state."""

import grimp

from pipeline.code_keys import PACKAGES


def test_no_import_cycles_between_modules() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    cycles = {
        tuple(sorted((importer, imported)))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if importer in graph.find_upstream_modules(imported)
    }
    assert not cycles
