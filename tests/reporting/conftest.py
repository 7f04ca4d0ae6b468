"""Reading what reports are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel


@pytest.fixture(scope="session")
def parse() -> Callable[[str], ET.Element]:
    """Read a page or a piece of one, which has to be well-formed."""

    def read(text: str) -> ET.Element:
        return ET.fromstring(text.removeprefix("<!doctype html>"))  # noqa: S314 made here

    return read


@pytest.fixture(scope="session")
def rows(parse: Callable[[str], ET.Element]) -> Callable[[str], list[list[str]]]:
    """Return the rows of the first table in some markup, as text, without its head."""

    def read(text: str) -> list[list[str]]:
        [body, *_] = parse(f"<div>{text}</div>").iter("tbody")
        return [["".join(cell.itertext()) for cell in row] for row in body]

    return read


@pytest.fixture(scope="session")
def sized(tiny: Collection, by_size: Callable[..., TrainedModel]) -> TrainedModel:
    """A model of the tiny target that prefers ann to bob, bob to cay and so on, always."""
    return by_size(tiny.graphs["mine"], (5, 4, 3, 2, 1), (1, 1))


@pytest.fixture(scope="session")
def logged(sized: TrainedModel) -> TrainedModel:
    """The same with a log of three epochs, of which the second and the third were looked at."""
    log = [
        {"epoch": epoch, "task": 8.0 / epoch, "loss": 9.0 / epoch, "seconds": 0.5}
        for epoch in (1, 2, 3)
    ]
    for entry, mrr in zip(log[1:], (0.5, 0.25), strict=True):
        entry["validation_mrr"] = mrr
    return replace(sized, log=log, metrics={"best_epoch": 2, "validation_mrr": 0.5})
