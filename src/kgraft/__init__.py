"""Graft the knowledge of linked knowledge graphs onto your own.

The whole way, in five lines::

    import kgraft

    collection = kgraft.read_collection("world")
    teacher = kgraft.pretrain(collection)
    student = kgraft.retrain(collection, teacher)
    print(student.evaluate(collection).mrr())

Names are imported when they are first used, so that ``import kgraft`` loads neither PyTorch nor any
other library.
"""

from __future__ import annotations

from kgraft.system.cores import share_cores

TYPE_CHECKING = False  # Type checkers take it for true; importing typing doubles the time.

if TYPE_CHECKING:
    from typing import Any

    from kgraft.alignment.align import align
    from kgraft.alignment.audit import audit
    from kgraft.alignment.graft import graft
    from kgraft.alignment.settings import AlignSettings
    from kgraft.errors import DataError, KgraftError, KgraftWarning
    from kgraft.exporting.export import export
    from kgraft.graph.knowledge_graph import KnowledgeGraph
    from kgraft.io.interchange import from_frame, from_pykeen
    from kgraft.io.read_collection import read_collection
    from kgraft.io.read_graph import read_graph
    from kgraft.io.read_links import read_links
    from kgraft.linking.collection import Collection, collect
    from kgraft.linking.inspection import inspect
    from kgraft.linking.links import Links
    from kgraft.model.directory import load_model
    from kgraft.model.trained_model import TrainedModel
    from kgraft.pipeline.pretrain import pretrain
    from kgraft.pipeline.retrain import retrain
    from kgraft.pipeline.run import RunOptions
    from kgraft.pipeline.train import train
    from kgraft.pipeline.vector_teacher import import_vectors, text_teacher
    from kgraft.settings import RetrainSettings, TrainSettings
    from kgraft.system.progress import Listener
    from kgraft.toml_settings import read_settings

    __version__: str

__all__ = [
    "AlignSettings",
    "Collection",
    "DataError",
    "KgraftError",
    "KgraftWarning",
    "KnowledgeGraph",
    "Links",
    "Listener",
    "RetrainSettings",
    "RunOptions",
    "TrainSettings",
    "TrainedModel",
    "__version__",
    "align",
    "audit",
    "collect",
    "export",
    "from_frame",
    "from_pykeen",
    "graft",
    "import_vectors",
    "inspect",
    "load_model",
    "pretrain",
    "read_collection",
    "read_graph",
    "read_links",
    "read_settings",
    "retrain",
    "text_teacher",
    "train",
]

_MODULES = {
    "AlignSettings": "alignment.settings",
    "Collection": "linking.collection",
    "DataError": "errors",
    "KgraftError": "errors",
    "KgraftWarning": "errors",
    "KnowledgeGraph": "graph.knowledge_graph",
    "Links": "linking.links",
    "Listener": "system.progress",
    "RetrainSettings": "settings",
    "RunOptions": "pipeline.run",
    "TrainSettings": "settings",
    "TrainedModel": "model.trained_model",
    "align": "alignment.align",
    "audit": "alignment.audit",
    "collect": "linking.collection",
    "export": "exporting.export",
    "from_frame": "io.interchange",
    "from_pykeen": "io.interchange",
    "graft": "alignment.graft",
    "import_vectors": "pipeline.vector_teacher",
    "inspect": "linking.inspection",
    "load_model": "model.directory",
    "pretrain": "pipeline.pretrain",
    "read_collection": "io.read_collection",
    "read_graph": "io.read_graph",
    "read_links": "io.read_links",
    "read_settings": "toml_settings",
    "retrain": "pipeline.retrain",
    "text_teacher": "pipeline.vector_teacher",
    "train": "pipeline.train",
}
"""The module of each name, below ``kgraft``."""


share_cores()

if not TYPE_CHECKING:  # Else any name would do for them.

    def __getattr__(name: str) -> Any:
        """Import a public name on its first use (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version

            found: Any = version("kgraft")
        elif name in _MODULES:
            from importlib import import_module

            found = getattr(import_module(f"kgraft.{_MODULES[name]}"), name)
        else:
            raise AttributeError(f"module 'kgraft' has no attribute {name!r}")
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
