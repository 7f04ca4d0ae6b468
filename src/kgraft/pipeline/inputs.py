"""The fingerprint of everything that a run depends on."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import TrainSettings
from kgraft.toml_settings import as_toml
from kgraft.training.checkpoint import Fingerprint


def fingerprint_of_inputs(
    command: str,
    settings: TrainSettings,
    graphs: Iterable[KnowledgeGraph],
    links: Iterable[Links],
    parents: Iterable[TrainedModel] = (),
) -> Fingerprint:
    """Return the fingerprint of a run's inputs.

    Args:
        command: Name of the command, with all that it is told beside the settings.
        settings: The settings.
        graphs: The graphs, with their names, labels and splits.
        links: The links, with their confidences.
        parents: Models that the run starts from: a teacher, an earlier student.
    """
    found = Fingerprint().add("kgraft", version("kgraft"), command, as_toml(settings))
    found.collection = str(add_data(Fingerprint(), graphs, links))
    found.add(found.collection)
    for model in parents:
        _add_model(found, model)
    return found


def add_data(
    found: Fingerprint, graphs: Iterable[KnowledgeGraph], links: Iterable[Links]
) -> Fingerprint:
    """Add graphs and links to a fingerprint, and return it."""
    for graph in graphs:
        found.add(graph.name, graph.entities, graph.relations, graph.labels)
        found.add(graph.train, graph.valid, graph.test, graph.known_false)
        found.add(*(x for item in sorted(graph.confidence.items()) for x in item))
        if graph.attributes is not None:
            found.add(*(graph.attributes[x] for x in ("entity", "attribute", "value")))
    for x in links:
        found.add(x.kind, x.left, x.right, x.pairs, x.confidence)
    return found


def _add_model(found: Fingerprint, model: TrainedModel) -> None:
    found.add(model.kind, model.target, as_toml(model.settings))
    _add_joint_graph(found, model.graph)
    for name, tensor in model.kge.blocks():
        found.add(name, tensor)
    if model.evidence is not None:
        frame = model.evidence.rules.frame
        found.add(*(frame[name].fill_null(-1).to_numpy() for name in frame.columns))


def _add_joint_graph(found: Fingerprint, graph: JointGraph) -> None:
    for name, part in graph.parts.items():
        found.add(name, part.entities, part.relations, part.labels)
        found.add(part.entity_rows, part.relation_rows)
    found.add(graph.triples, graph.triple_sources)
    if graph.confidence is not None:
        found.add(graph.confidence)
    found.add(*(x for item in sorted(graph.known_false.items()) for x in item))
