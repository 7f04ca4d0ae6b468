"""Measure questions in words on PathQuestion: full graphs, and graphs without half of the facts.

Usage: python benchmarks/questions.py PATHQUESTION --out benchmarks/results/questions.json

A question's entity is found by searching the graph for its longest run of words. The other words
choose among the relation paths of training questions: character n-grams, weighted by TF-IDF, and a
logistic regression. `ask` answers the path from the entity, so that missing hops are predicted, and
the best answer by the probabilities of path and answer together counts (Hits@1; of answers that are
equally good, the share that is right). ``traversal`` has the same entity and the same paths, and
follows stated facts alone: those of the most probable path that leads anywhere.

Questions are split by seed so that all those about one entity are on one side: 80 % to train, 10 %
for validation, 10 % to test. Half-KG takes half of the facts away at random, and no entity, before
anything is trained on them.
"""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import options_of, run, timed
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import kgraft
from kgraft.inference.predict import prepared
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import collect
from kgraft.model.trained_model import TrainedModel
from kgraft.querying.ask import asker
from kgraft.querying.pattern import Atom, Branch, PatternQuery
from kgraft.serving.search import EntitySearch, normalized
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

SEED, SHARES = 0, (0.8, 0.9)
PATHS, LIKELY = 5, 0.02  # that a question may mean: how many, and how probable at least
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
        stated = answers[answers.index("(") + 1 :].rstrip(")").split("/")
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


class EntityLinker:
    """Finds the entity of a question.

    Args:
        names: All names of entities.
        search: Finds those that are spelled otherwise.
    """

    def __init__(self, names: Sequence[str], search: EntitySearch) -> None:
        self._search = search
        self._by_text = {normalized(name): name for name in names}

    def linked(self, text: str) -> tuple[str | None, str]:
        """Return the entity of the longest run of words that names one, and the other words."""
        words = text.split()
        runs = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        texts = [(normalized(" ".join(words[i:j])), i, j) for i, j in runs]
        for text_of_run, i, j in sorted(texts, key=lambda x: (-len(x[0]), x[2] - x[1])):
            name = self._by_text.get(text_of_run)
            if name is not None:
                return name, " ".join([*words[:i], "E", *words[j:]])
        found = self._search.find(max(words, key=len, default=""), 1)
        return (found[0].name if found else None), text


class PathRanker:
    """Ranks the relation paths that the words of a question may mean.

    Args:
        texts: The words of training questions, with ``E`` for the entity.
        paths: Their paths.
        strength: Of the fit; inverse of the regularization.
    """

    def __init__(self, texts: Sequence[str], paths: Sequence[Relations], strength: float) -> None:
        self._names = sorted(set(paths))
        self._model: Pipeline = make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
            LogisticRegression(C=strength, max_iter=300),
        )
        number = {path: at for at, path in enumerate(self._names)}
        self._model.fit(list(texts), [number[path] for path in paths])

    def ranked(self, texts: Sequence[str]) -> list[list[tuple[Relations, float]]]:
        """Return the best paths of each question with their probabilities."""
        found = self._model.predict_proba(list(texts))
        best = np.argsort(-found, axis=1)[:, :PATHS]
        return [
            [(self._names[at], float(row[at])) for at in places.tolist() if row[at] >= LIKELY]
            for row, places in zip(found, best, strict=True)
        ]


class ModelAnswers:
    """Answers of a path by a trained model."""

    def __init__(self, model: TrainedModel) -> None:
        self._asker = asker(model)
        self.names = prepared(model).names
        self.part = model.graph.part("graph")
        self._row = dict(zip(self.part.entities.names, self.part.entity_rows.tolist(), strict=True))
        names = dict(zip(self.part.entity_rows.tolist(), self.part.entities.names, strict=True))
        self._names = [names[row] for row in self._asker.facts.rows.tolist()]
        self._kept: dict[tuple[str, Relations], list[tuple[str, float]]] = {}

    def answers(self, entity: str, path: Relations) -> list[tuple[str, float]]:
        """Return the most probable answers of a path, best first."""
        relations = self.part.relations
        if entity not in self._row or any(x not in relations for x in path):
            return []
        if (entity, path) not in self._kept:
            ends: list[str | int] = [self._row[entity], *(f"x{n}" for n in range(len(path)))]
            rows = [int(self.part.relation_rows[relations.row(x)]) for x in path]
            atoms = tuple(Atom(ends[n], row, ends[n + 1]) for n, row in enumerate(rows))
            query = PatternQuery("select", (str(ends[-1]),), (Branch(atoms),))
            found = self._asker.probabilities(query)
            best = np.argsort(-found, kind="stable")[:20]
            self._kept[entity, path] = [(self._names[at], float(found[at])) for at in best]
        return self._kept[entity, path]


class StatedAnswers:
    """Answers of a path by stated facts alone."""

    def __init__(self, facts: Frame) -> None:
        self._tails = defaultdict[tuple[str, str], list[str]](list)
        for head, relation, tail in facts.iter_rows():
            self._tails[head, relation].append(tail)

    def answers(self, entity: str, path: Relations) -> list[tuple[str, float]]:
        """Return the answers of a path, all as probable."""
        here = {entity}
        for relation in path:
            here = {tail for x in here for tail in self._tails.get((x, relation), ())}
        return [(x, 1.0) for x in sorted(here)]


def hit(
    question: Question, ranked: list[tuple[Relations, float]], entity: str | None, by: Any
) -> float:
    """Return the share of best answers that is right."""
    best, found = -math.inf, list[str]()
    for path, probability in ranked if entity is not None else ():
        for answer, value in by.answers(entity, path):
            together = probability * value
            if together > best + 1e-12:
                best, found = together, []
            if together >= best - 1e-12 and together > 0:
                found.append(answer)
    return sum(x in question.answers for x in found) / len(found) if found else 0.0


def chosen(parts: list[list[Question]], linker: EntityLinker) -> tuple[list[Any], dict[str, Any]]:
    """Return the entity and ranked paths of validation and test questions; choose the strength."""
    linked = [[linker.linked(x.text) for x in part] for part in parts]
    texts = [[text for _, text in part] for part in linked]
    paths = [[x.path for x in part] for part in parts]
    rates = {}
    for strength in (1.0, 10.0, 100.0):
        ranker = PathRanker(texts[0], paths[0], strength)
        first = [x[0][0] for x in ranker.ranked(texts[1])]
        rates[strength] = sum(x == y for x, y in zip(first, paths[1], strict=True)) / len(first)
    best = max(rates, key=lambda x: rates[x])
    ranker = PathRanker(texts[0] + texts[1], paths[0] + paths[1], best)
    ranked = ranker.ranked(texts[2])
    right = {
        "entity": sum(x == y.entity for (x, _), y in zip(linked[2], parts[2], strict=True)),
        "path": sum(x[0][0] == y.path for x, y in zip(ranked, parts[2], strict=True)),
    }
    figures = {name: round(x / len(parts[2]), 4) for name, x in right.items()}
    entities = [entity for entity, _ in linked[2]]
    return list(zip(parts[2], ranked, entities, strict=True)), {"strength": best, **figures}


def model_of(facts: Frame, entities: list[str], settings: kgraft.TrainSettings) -> TrainedModel:
    """Train on facts between known entities, a tenth of the facts for validation."""
    relations = sorted(set(facts["relation"]))
    columns = {"head": entities, "relation": relations, "tail": entities}
    rows = facts.select(
        pl.col(column).replace_strict(names, range(len(names)), return_dtype=pl.Int64)
        for column, names in columns.items()
    ).to_numpy()
    rows = np.random.default_rng(SEED).permutation(rows)
    n = len(rows) // 10
    graph = from_arrays("graph", rows[n:], valid=rows[:n], entities=entities, relations=relations)
    return kgraft.train(collect([graph], [], target="graph", name="pq"), settings, alone=True)


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
    kept = np.random.default_rng(SEED).permutation(len(facts))[: len(facts) // 2]
    found: dict[str, Any] = {"questions": [len(x) for x in parts], "facts": len(facts)}
    for share, known in (("full", facts), ("half", facts[np.sort(kept)])):
        seconds, model = timed(model_of, known, entities, settings)
        own = ModelAnswers(model)
        asked, choice = chosen(parts, EntityLinker(entities, EntitySearch(own.names)))
        for system, by in (("kgraft", own), ("traversal", StatedAnswers(known))):
            hits = [hit(question, ranked, entity, by) for question, ranked, entity in asked]
            found[f"{share}_{system}"] = round(sum(hits) / len(hits), 4)
        found[share] = {**choice, "training_seconds": round(seconds, 1)}
    found["paths"] = len(Counter(x.path for part in parts for x in part))
    return found


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure the graphs that are asked for, and return the report."""
    settings = kgraft.read_settings(
        kgraft.TrainSettings, Path(asked.settings) if asked.settings else None
    )
    found = {x: measured(Path(asked.data), x, settings) for x in asked.graphs}
    keys = {}
    for name, x in found.items():
        keys |= {f"full_{name}": x["full_kgraft"], f"half_{name}": x["half_kgraft"]}
        keys |= {f"traversal_half_{name}": x["half_traversal"]}
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
