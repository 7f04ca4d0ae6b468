"""Apart from test_interchange, because PyKEEN takes seconds to import."""

from importlib.util import find_spec

import numpy as np
import pytest

from kgraft.errors import DataError
from kgraft.io.interchange import from_pykeen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("pykeen") is None, reason="needs PyKEEN"),
]


def factory(rows: list[list[str]], **kwargs: object) -> object:
    from pykeen import triples

    return triples.TriplesFactory.from_labeled_triples(np.array(rows), **kwargs)


def test_factories_keep_their_ids() -> None:
    train = factory([["b", "p", "a"], ["c", "q", "b"]])
    test = factory(
        [["a", "q", "c"]],
        entity_to_id=train.entity_to_id,
        relation_to_id=train.relation_to_id,
    )
    graph = from_pykeen("g", train, test=test)
    for name, row in train.entity_to_id.items():
        assert graph.entities.row(name) == row
    names = [
        (graph.entities.name(h), graph.relations.name(r), graph.entities.name(t))
        for h, r, t in graph.triples
    ]
    assert names == [("b", "p", "a"), ("c", "q", "b"), ("a", "q", "c")]


def test_factories_with_other_ids_are_refused() -> None:
    with pytest.raises(DataError, match="test factory numbers its names differently"):
        from_pykeen("g", factory([["b", "p", "a"]]), test=factory([["b", "p", "c"]]))
