"""The order of facts, links, literals and sources changes nothing: same data, same model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kgraft
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.linking.collection import Collection
from kgraft.model.directory import load_model
from kgraft.settings import RetrainSettings, RuleSettings, TrainSettings

Lines = list[str]
Order = Callable[[Lines], Lines]


def _shuffled(lines: Lines) -> Lines:
    return [lines[place] for place in np.random.default_rng(7).permutation(len(lines))]


def _facts(graph: KnowledgeGraph, split: str) -> Lines:
    frame = graph.to_frame().filter(split=split).select("head", "relation", "tail")
    return ["\t".join(row) for row in frame.iter_rows()]


def _values(graph: KnowledgeGraph) -> Lines:
    """Return literals of a graph: a label and a number of each entity."""
    return [
        line
        for name in graph.entities.names
        for number in [int(name.partition(":")[2])]
        for line in (f'{name}\trdfs:label\t"no. {number}"', f'{name}\tsize\t"{number * 7 % 100}"')
    ]


def _written(collection: Collection, directory: Path, order: Order) -> Path:
    """Write a collection whose lines and tables are in an order; return its file."""
    directory.mkdir()
    tables = []
    for name, graph in collection.graphs.items():
        files = [split for split in SPLITS if len(getattr(graph, split))]
        for split in files:
            text = "\n".join(order(_facts(graph, split))) + "\n"
            (directory / f"{name}-{split}.tsv").write_text(text)
        (directory / f"{name}-values.tsv").write_text("\n".join(order(_values(graph))) + "\n")
        paths = [f'{split} = "{name}-{split}.tsv"' for split in files]
        head = ["[[source]]", f'name = "{name}"', f'attributes = ["{name}-values.tsv"]']
        tables.append("\n".join([*head, *paths]))
    for number, links in enumerate(collection.links):
        left, right = collection.graphs[links.left], collection.graphs[links.right]
        ends = [
            (x.entities if links.kind == "entity" else x.relations).names_of(rows)
            for x, rows in zip((left, right), links.pairs.T, strict=True)
        ]
        pairs = ["\t".join(pair) for pair in zip(*ends, strict=True)]
        (directory / f"links-{number}.tsv").write_text("\n".join(order(pairs)) + "\n")
        given = {"left": links.left, "right": links.right, "kind": links.kind}
        given["path"] = f"links-{number}.tsv"
        tables.append("[[links]]\n" + "\n".join(f'{k} = "{v}"' for k, v in given.items()))
    head = f'name = "{collection.name}"\ntarget = "{collection.target}"\n\n'
    file = directory / "collection.toml"
    file.write_text(head + "\n\n".join(order(tables)) + "\n")
    return file


@pytest.fixture(scope="module")
def both_orders(
    generated: Collection, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Collection, Collection]:
    """The generated collection from files, and from the same files in another order."""
    place = tmp_path_factory.mktemp("orders")
    one = kgraft.read_collection(_written(generated, place / "one", list))
    other = kgraft.read_collection(_written(generated, place / "other", _shuffled))
    assert list(one.graphs) != list(other.graphs)
    return one, other


def test_a_graph_is_the_same_in_any_order(both_orders: tuple[Collection, Collection]) -> None:
    one, other = both_orders
    for name, graph in one.graphs.items():
        same = other.graphs[name]
        assert graph.entities == same.entities
        assert graph.relations == same.relations
        assert graph.attributes is not None
        assert same.attributes is not None
        assert graph.attributes.equals(same.attributes)
        for split in SPLITS:
            np.testing.assert_array_equal(getattr(graph, split), getattr(same, split))


@pytest.mark.parametrize("how", ["single", "joint", "grafted"])
def test_a_model_is_the_same_in_any_order(
    how: str,
    both_orders: tuple[Collection, Collection],
    fast: TrainSettings,
    fast_student: RetrainSettings,
    tmp_path: Path,
) -> None:
    def trained(collection: Collection, place: Path) -> dict[str, bytes]:
        if how == "grafted":
            model = kgraft.retrain(collection, kgraft.pretrain(collection, fast), fast_student)
        else:
            settings = fast.model_copy(update={"rules": RuleSettings(longest=2)})
            model = kgraft.train(collection, settings, alone=how == "single")
            assert model.evidence is not None
        model.save(place)
        load_model(place)
        files = sorted(x for x in place.rglob("*") if x.suffix in (".safetensors", ".parquet"))
        assert files
        return {str(x.relative_to(place)): x.read_bytes() for x in files}

    one, other = both_orders
    assert trained(one, tmp_path / "one") == trained(other, tmp_path / "other")


def test_frames_in_any_order_make_one_graph(generated: Collection) -> None:
    frame = generated.graphs["mine"].to_frame()
    one = kgraft.from_frame("mine", frame.select("head", "relation", "tail"))
    mixed = frame.sample(fraction=1, shuffle=True, seed=3).select("head", "relation", "tail")
    other = kgraft.from_frame("mine", mixed)
    assert one.entities == other.entities
    np.testing.assert_array_equal(one.train, other.train)
