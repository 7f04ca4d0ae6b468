"""What trained vectors say: entities of two graphs that are each other's nearest neighbours."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from kgraft.alignment.labels import Names
from kgraft.alignment.neighbourhoods import mutual_neighbours
from kgraft.alignment.nodes import Ints, Nodes
from kgraft.alignment.settings import VectorSettings
from kgraft.linking.collection import Collection
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.run import RunOptions
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.system.progress import Listener


def neighbours_by_vectors(
    collection: Collection,
    nodes: Nodes,
    clusters: Ints,
    names: Names,
    settings: VectorSettings,
    listener: Listener,
) -> Names:
    """Train vectors of all graphs together, and add to names what near vectors say.

    Linked entities share a vector; so those of two graphs that stand alike to linked ones come to
    lie near each other. Only pairs of entities without a partner in each other's graph are told.

    Args:
        collection: The graphs, with the links to train by.
        nodes: All entities.
        clusters: Which are one by these links.
        names: What is known already.
        settings: Vectors, and what it is worth to be near.
        listener: Receives the number of epochs done; by default a bar or log lines.
    """
    learned = {
        name: replace(graph, valid=graph.train[:0], test=graph.train[:0])
        for name, graph in collection.graphs.items()
    }
    teacher = pretrain(
        replace(collection, graphs=learned),
        TrainSettings(
            model=ModelSettings(width=settings.width),
            training=TrainingSettings(epochs=settings.epochs, seed=settings.seed),
        ),
        sources=list(learned),
        options=RunOptions(listener),
    )
    rows = np.concatenate([teacher.graph.part(name).entity_rows for name in learned])
    vectors = teacher.kge.vectors().numpy()
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    partners = nodes.members(clusters)[clusters]
    mentioned = np.isin(np.arange(len(nodes)), nodes.joint.triples[:, [0, 2]])
    pairs, chances = [names.alike], [names.chance]
    for one, other in combinations(range(len(nodes.graphs)), 2):
        ends = []
        for own, far in ((one, other), (other, one)):
            of_graph = np.arange(nodes.first[own], nodes.first[own + 1])
            ends.append(of_graph[mentioned[of_graph] & (partners[of_graph, far] < 0)])
        near, mutual = mutual_neighbours(*(vectors[rows[nodes_of]] for nodes_of in ends))
        pairs.append(np.stack([ends[0][near[:, 0]], ends[1][near[:, 1]]], axis=1))
        chances.append(np.where(mutual, settings.mutual, settings.near))
    alike, chance = np.concatenate(pairs), np.concatenate(chances)
    similarity = np.append(names.similarity, np.full(len(alike) - len(names.alike), np.nan))
    return replace(names, alike=alike, chance=chance, similarity=similarity)
