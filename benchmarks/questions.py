"""Measure questions in words on PathQuestion: full graphs, and graphs without half of the facts.

Usage: python benchmarks/questions.py PATHQUESTION --out benchmarks/results/questions.json

`kgraft` answers each question as ``ask_question`` does: it links the entity, lets the other words
choose among relation paths, and asks for the answers of these, so that missing hops are predicted.
The best answer counts (Hits@1; of answers that are equally good, the share that is right). What the
words mean is learned from training questions with their paths (``from_paths``) or with their
answers alone (``from_answers``), or guessed by the names of relations (``by_names``). ``traversal``
has the same entity and the same paths, and follows stated facts alone: those of the most probable
path that leads anywhere.

Questions are split by seed so that all those about one entity are on one side: 80 % to train, 10 %
for validation, 10 % to test; training and validation questions are learned from. Half-KG takes half
of the facts away at random, and no entity, before anything is trained on them. ``grafted`` is a
student of that half whose teacher has the other half, with all entities linked.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import options_of, run, timed

import kgraft
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import collect
from kgraft.linking.links import Links
from kgraft.model.trained_model import TrainedModel
from kgraft.querying.ask import asker
from kgraft.querying.entity_linking import QuestionLinker
from kgraft.querying.pattern import QueryError
from kgraft.querying.question_pairs import QuestionPair
from kgraft.querying.questions import QuestionAnswers, QuestionAsker, learn_questions
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

SEED, SHARES = 0, (0.8, 0.9)
ANSWERS = 20  # of which the best, and all that are as good, count
WAYS = ("from_paths", "from_answers", "by_names")  # in which paths are chosen
GRAPHS = {
    "2h": ("PQ-2H.txt", "2H-kb.txt"),
    "3h": ("PQ-3H.txt", "3H-kb.txt"),
    "large_2h": ("PQL-2H.txt", "PQL2-KB.txt"),
    "large_3h": ("PQL-3H.txt", "PQL3-KB.txt"),
}

Relations = tuple[str, ...]
Frame = pl.DataFrame


@dataclass(frozen=True)
class Question:
    """A question.

    Args:
        text: Its words.
        entity: The entity that it is about.
        path: The relations that lead to its answers.
        answers: Its answers.
    """

    text: str
    entity: str
    path: Relations
    answers: frozenset[str]


def questions_of(file: Path) -> list[Question]:
    """Read a file of questions."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text, answers, path = line.split("\t")
        nodes = path.partition("#<end>")[0].split("#")
        one = nodes[-1] if answers.startswith(f"{nodes[-1]}(") else answers[: answers.index("(")]
        stated = answers[len(one) + 1 :].removesuffix(")").split("/")
        right = frozenset(x for x in stated if x)
        found.append(Question(text, nodes[0], tuple(nodes[1::2]), right))
    return found


def split(questions: Sequence[Question]) -> list[list[Question]]:
    """Return training, validation and test questions, no entity in two of them."""
    entities = sorted({x.entity for x in questions})
    order = np.random.default_rng(SEED).permutation(len(entities))
    part = {entities[at]: n / len(entities) for n, at in enumerate(order.tolist())}
    places = [sum(part[x.entity] >= share for share in SHARES) for x in questions]
    return [[x for x, at in zip(questions, places, strict=True) if at == n] for n in range(3)]


class StatedAnswers:
    """Answers of a path by stated facts alone."""

    def __init__(self, facts: Frame) -> None:
        self._tails = defaultdict[tuple[str, str], list[str]](list)
        for head, relation, tail in facts.iter_rows():
            self._tails[head, relation].append(tail)
            self._tails[tail, f"^{relation}"].append(head)

    def answers(self, entity: str, path: Relations) -> list[tuple[str, float]]:
        """Return the answers of a path, all as probable."""
        here = {entity}
        for relation in path:
            here = {tail for x in here for tail in self._tails.get((x, relation), ())}
        return [(x, 1.0) for x in sorted(here)]


def hit(right: frozenset[str], answers: Sequence[tuple[str, float]]) -> float:
    """Return the share of best answers that is right."""
    best = max((value for _, value in answers), default=0.0)
    found = [name for name, value in answers if value >= best - 1e-12 and value > 0]
    return sum(x in right for x in found) / len(found) if found else 0.0


def linked(linker: QuestionLinker, text: str) -> bool:
    """Return True for a question whose entity is found."""
    try:
        linker.link(text)
    except QueryError:
        return False
    return True


def asked(asker: QuestionAsker, text: str) -> QuestionAnswers | None:
    """Return the answers to a question, None where it cannot be understood."""
    try:
        return asker.ask(text, limit=ANSWERS)
    except QueryError:
        return None


def figures(
    asker: QuestionAsker, questions: Sequence[Question], stated: StatedAnswers
) -> dict[str, float]:
    """Return Hits@1, and that of traversal with the same entity and paths."""
    hits = dict.fromkeys(("kgraft", "traversal", "entity", "path"), 0.0)
    for question in questions:
        found = asked(asker, question.text)
        if found is None:
            continue
        ours = [(str(x.bindings["x"]), float(x.probability or 0)) for x in found]
        walked = [
            (name, path.probability * value)
            for path in found.paths
            for name, value in stated.answers(found.entity, path.relations)
        ]
        hits["kgraft"] += hit(question.answers, ours)
        hits["traversal"] += hit(question.answers, walked)
        hits["entity"] += found.entity == question.entity
        hits["path"] += found.paths[0].relations == question.path
    return {name: round(value / len(questions), 4) for name, value in hits.items()}


def graph_of(name: str, facts: Frame, entities: list[str], held_out: bool) -> KnowledgeGraph:
    """Return a graph of facts between known entities, perhaps a tenth of them for validation."""
    relations = sorted(set(facts["relation"]))
    columns = {"head": entities, "relation": relations, "tail": entities}
    rows = facts.select(
        pl.col(column).replace_strict(names, range(len(names)), return_dtype=pl.Int64)
        for column, names in columns.items()
    ).to_numpy()
    rows = np.random.default_rng(SEED).permutation(rows)
    n = len(rows) // 10 if held_out else 0
    return from_arrays(name, rows[n:], valid=rows[:n], entities=entities, relations=relations)


def alone(facts: Frame, entities: list[str], settings: kgraft.TrainSettings) -> TrainedModel:
    """Train on facts, a tenth of them for validation."""
    graph = graph_of("graph", facts, entities, held_out=True)
    return kgraft.train(collect([graph], [], target="graph", name="pq"), settings, alone=True)


def grafted(
    facts: Frame, others: Frame, entities: list[str], settings: kgraft.TrainSettings
) -> TrainedModel:
    """Train a student of facts whose teacher has the other facts, all entities linked."""
    graphs = [
        graph_of("graph", facts, entities, held_out=True),
        graph_of("other", others, entities, held_out=False),
    ]
    rows = np.stack([np.arange(len(entities))] * 2, axis=1)
    links = Links("graph", "other", rows, np.ones(len(rows), dtype=np.float32))
    collection = collect(graphs, [links], target="graph", name="pq")
    student = kgraft.RetrainSettings.model_validate(
        {"model": settings.model, "rules": settings.rules}
    )
    teacher = kgraft.pretrain(
        collection, settings.model_copy(update={"rules": kgraft.TrainSettings().rules})
    )
    return kgraft.retrain(collection, teacher, student)


def measured(data: Path, name: str, settings: kgraft.TrainSettings) -> dict[str, Any]:
    """Return the figures of one graph and its questions."""
    file, graph = (data / x for x in GRAPHS[name])
    facts = pl.read_csv(
        graph,
        separator="\t",
        has_header=False,
        new_columns=("head", "relation", "tail"),
        quote_char=None,
    ).unique(maintain_order=True)
    entities = sorted({*facts["head"], *facts["tail"]})
    parts = split(questions_of(file))
    order = np.random.default_rng(SEED).permutation(len(facts))
    half, rest = (facts[np.sort(x)] for x in (order[: len(facts) // 2], order[len(facts) // 2 :]))
    found: dict[str, Any] = {"questions": [len(x) for x in parts], "facts": len(facts)}
    models = {
        "full": (facts, lambda: alone(facts, entities, settings)),
        "half": (half, lambda: alone(half, entities, settings)),
        "grafted": (half, lambda: grafted(half, rest, entities, settings)),
    }
    for share, (known, make) in models.items():
        seconds, model = timed(make)
        found[share] = of_model(model, parts, StatedAnswers(known))
        found[share]["training_seconds"] = round(seconds, 1)
        print(name, share, json.dumps(found[share]), flush=True)
    found["paths"] = len(Counter(x.path for part in parts for x in part))
    return found


def of_model(
    model: TrainedModel, parts: list[list[Question]], stated: StatedAnswers
) -> dict[str, Any]:
    """Return the figures of a model by the way that its paths are chosen."""
    linker, found = QuestionAsker(asker(model)).linker, {}
    known = [x for part in parts[:2] for x in part if linked(linker, x.text)]
    part = model.graph.part("graph")
    names, relations = set(part.entities.names), set(part.relations.names)
    for way in WAYS:
        learned = None
        if way != "by_names":
            by_answers = way == "from_answers"
            pairs = [
                QuestionPair(x.text, answers=tuple(sorted(x.answers & names)))
                if by_answers
                else QuestionPair(x.text, "/".join(x.path))
                for x in known
                if by_answers or relations.issuperset(x.path)
            ]
            pairs = [x for x in pairs if x.path or x.answers]
            learned = learn_questions(model, pairs)
        found[way] = figures(QuestionAsker(asker(model), learned), parts[2], stated)
    return found


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure the graphs that are asked for, and return the report."""
    settings = kgraft.read_settings(
        kgraft.TrainSettings, Path(asked.settings) if asked.settings else None
    )
    found = {x: measured(Path(asked.data), x, settings) for x in asked.graphs}
    keys = {}
    for name, x in found.items():
        for share in ("full", "half", "grafted"):
            keys[f"{share}_{name}"] = x[share]["from_paths"]["kgraft"]
        keys[f"traversal_half_{name}"] = x["half"]["from_paths"]["traversal"]
    return {
        **keys,
        "figures": found,
        "seed": SEED,
        "threads": asked.threads,
        "settings": settings.model_dump(mode="json"),
        "machine": machine(),
        "command": f"python benchmarks/questions.py PATHQUESTION --graphs {' '.join(asked.graphs)}"
        f" --threads {asked.threads}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(
        __doc__,
        "data",
        graphs=(["2h", "3h"], "of " + ", ".join(GRAPHS)),
        settings=(str(Path(__file__).parent / "settings" / "pathquestion.toml"), "of training"),
    )
    report = run(parser, measure, arguments, write=write_report)
    print(json.dumps(report["figures"], indent=1))


if __name__ == "__main__":
    main()
