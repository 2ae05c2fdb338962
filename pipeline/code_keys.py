"""Cache keys: a digest of the first-party code and package files that each node depends on.

TFX reuses the cached outputs of a node while its inputs and execution properties are unchanged, and
an edit of the node's code changes neither. `with_code_keys` therefore adds an execution property to
every node that runs code of this project: a digest of the modules that its executor imports,
directly or indirectly, at the top of a module or inside a function. Kubeflow Pipelines and
Vertex AI read the keys from the compiled graph; containers never compute them.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_node import BaseNode

PROPERTY: Final = "code"
PACKAGES: Final = ("pipeline", "components", "serving", "core", "schema")
ROOT: Final = Path(__file__).resolve().parent.parent
# Execution properties of TFX's own nodes that name a function of this project.
_FUNCTIONS: Final = ("preprocessing_fn", "run_fn", "tuner_fn")
# Module -> modules that it starts as a process or imports by name.
PROCESSES: Final[Mapping[str, frozenset[str]]] = {
    "components.endpoint_validator.servers": frozenset(
        {"pipeline.commands.predict", "pipeline.commands.serve"}
    ),
    "serving.server.run": frozenset({"serving.server.api.grpc_api"}),
}


@dataclass(frozen=True)
class CodeGraph:
    """Imports among the modules of this project.

    Attributes:
      imports: module -> modules that it imports or starts, and the package that contains it.
      read: returns the content of a file below ROOT.
    """

    imports: Mapping[str, frozenset[str]]
    read: Callable[[Path], bytes] = field(default_factory=lambda: cache(Path.read_bytes))

    @classmethod
    def from_project(cls) -> "CodeGraph":
        """Builds the graph from the source files, without importing them."""
        import grimp

        graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)
        return cls(
            {
                module: frozenset(graph.find_modules_directly_imported_by(module))
                | PROCESSES.get(module, frozenset())
                | {parent for parent in [module.rpartition(".")[0]] if parent}
                for module in graph.modules
            }
        )

    def reachable(self, modules: Iterable[str]) -> set[str]:
        """Returns the modules and all their direct and indirect imports."""
        reachable: set[str] = set()
        left = list(modules)
        while left:
            module = left.pop()
            if module not in reachable:
                reachable.add(module)
                left += self.imports[module]
        return reachable

    def key(self, modules: Iterable[str], files: Iterable[Path] = ()) -> str:
        """Returns a short digest of modules, of their imports, and of files."""
        every = set(files)
        for module in self.reachable(modules):
            every |= module_files(module)
        digest = hashlib.sha256()
        for file in sorted(every):
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0")
            digest.update(hashlib.sha256(self.read(file)).digest())
        return digest.hexdigest()[:16]


@cache
def module_files(module: str) -> frozenset[Path]:
    """Returns the source file of a module; for a package also its data files and templates."""
    path = ROOT.joinpath(*module.split("."))
    if not path.is_dir():
        return frozenset({path.with_suffix(".py")})
    data = (file for folder in (path, path / "templates") for file in folder.glob("[!.]*.*"))
    return frozenset({path / "__init__.py", *(file for file in data if file.suffix != ".py")})


def with_code_keys(nodes: Sequence["BaseNode"]) -> list["BaseNode"]:
    """Gives each node that depends on code or files of this project a digest of them.

    A Resolver gets none: it is never cached.
    """
    graph = CodeGraph.from_project()
    for node in nodes:
        modules, files = node_modules(node, graph), node_files(node)
        if modules or files:
            node.exec_properties[PROPERTY] = graph.key(modules, files)
    return list(nodes)


def node_modules(node: "BaseNode", graph: CodeGraph) -> set[str]:
    """Returns the first-party modules of a node's executor and of the functions that it calls."""
    paths = [getattr(node.executor_spec, "class_path", None)]
    paths += [node.exec_properties.get(name) for name in _FUNCTIONS]
    return {str(path).rpartition(".")[0] for path in paths if path} & graph.imports.keys()


def node_files(node: "BaseNode") -> set[Path]:
    """Returns the files of this project that a node reads, such as the schema."""
    paths = (Path(value) for value in node.exec_properties.values() if isinstance(value, str))
    return {path for path in paths if path.is_relative_to(ROOT) and path.is_file()}
