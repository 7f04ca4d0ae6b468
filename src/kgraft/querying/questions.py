"""Questions in words: the entity is linked, its words choose a relation path, and `ask` answers."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import Final

import numpy as np

from kgraft.errors import DataError, KgraftError
from kgraft.model.trained_model import TrainedModel
from kgraft.querying.answers import Answer, Answers
from kgraft.querying.ask import ANSWERS, MOST_ANSWERS, Asker, asker
from kgraft.querying.entity_linking import LinkedQuestion, QuestionLinker
from kgraft.querying.name_ranker import NameRanker
from kgraft.querying.path_ranker import TFIDF, LearnedPaths, Names, learn_paths
from kgraft.querying.question_pairs import QuestionPair, pairs_of
from kgraft.querying.relation_paths import (
    ASKED,
    Path,
    StatedPaths,
    path_labels,
    path_names,
    path_query,
    path_rows,
    path_steps,
)
from kgraft.system.forks import require_threads

Learned = LearnedPaths | None
"""Paths learned from questions; None to go by the names of relations."""

FILE: Final = "questions.safetensors"
"""Name of the file in a model's directory that keeps what was learned from questions."""


_SPARQL: Final = re.compile(
    r"\{|\?\w|^\s*(PREFIX|BASE|SELECT|ASK|CONSTRUCT|DESCRIBE|INSERT|DELETE|LOAD|CLEAR|DROP|CREATE|"
    r"ADD|MOVE|COPY|WITH)\b"
)


@dataclass(frozen=True)
class ChosenPath:
    """A relation path that a question may mean.

    Args:
        relations: Names of its relations, inverses with ``^`` ahead.
        text: The same in readable labels.
        probability: That the question means it.
    """

    relations: Names
    text: str
    probability: float


class QuestionAnswers(Answers):
    """Answers to a question, the most probable first.

    An answer's probability is that of its path and its facts together.

    Args:
        records: The answers.
        entity: Name of the entity that the question is about.
        label: Its label.
        named: The words of the question that name it.
        paths: The paths that the question may mean, the most probable first.
        learned_from: The number of questions that the choice was learned from; 0 where it goes by
            the names of relations.
        cut: As in ``Answers``.
    """

    def __init__(
        self,
        records: Iterable[Answer],
        *,
        entity: str,
        label: str,
        named: str,
        paths: tuple[ChosenPath, ...],
        learned_from: int,
        cut: float = 0.0,
    ) -> None:
        super().__init__((ASKED,), records, cut=cut)
        self.entity, self.label, self.named = entity, label, named
        self.paths, self.learned_from = paths, learned_from

    @property
    def reading(self) -> str:
        """The entity and the paths that the question was taken to mean, in words."""
        best, *others = self.paths
        how = (
            f"learned from {self.learned_from:,} questions"
            if self.learned_from
            else "guessed by the names of relations"
        )
        more = ", or ".join(f"{x.text} ({x.probability:.2f})" for x in others[:2])
        return (
            f"{self.label}: {best.text} ({best.probability:.2f}, {how}"
            f"{f'; or {more}' if more else ''})"
        )

    def __repr__(self) -> str:
        return f"{self.reading}\n{super().__repr__()}"


def is_question(text: str) -> bool:
    """Return True for several words without braces, variables and keywords of SPARQL."""
    return len(text.split()) > 1 and not _SPARQL.search(text)


class QuestionAsker:
    """A model prepared to answer questions.

    Args:
        asker: The model, prepared to answer queries.
        learned: What was learned from questions; None to go by the names of relations.

    Raises:
        DataError: If ``learned`` has paths of relations that the model lacks.
    """

    def __init__(self, asker: Asker, learned: LearnedPaths | None = None) -> None:
        self._asker, self._learned = asker, learned
        self._path: dict[Names, Path] = {}
        for names in learned.paths if learned else ():
            try:
                self._path[names] = path_rows(names, asker.query_names, asker.facts.n_relations)
            except KgraftError as error:
                raise DataError(
                    f"the questions were learned from for another model ({error})",
                    remedy="Learn again with 'kgraft questions MODEL PAIRS.tsv'",
                ) from error

    @cached_property
    def linker(self) -> QuestionLinker:
        """Finds entities."""
        return QuestionLinker(self._asker.names, self._asker.facts.rows)

    @cached_property
    def _by_names(self) -> NameRanker:
        return NameRanker(self._asker.facts)

    def ranked(self, question: LinkedQuestion) -> list[tuple[Path, float]]:
        """Return the paths that a question may mean, the most probable first.

        Raises:
            QueryError: If it names no relation, and there is nothing learned.
        """
        if self._learned is None:
            return self._by_names.ranked(question)
        found = self._learned.ranked([question.rest])[0]
        return [(self._path[names], probability) for names, probability in found]

    def ask(
        self,
        text: str,
        *,
        limit: int = ANSWERS,
        most: int = MOST_ANSWERS,
        seconds: float | None = None,
        entity: str | None = None,
    ) -> QuestionAnswers:
        """Answer a question.

        Args:
            text: The question, with a name or label of one entity.
            limit: The maximum number of answers.
            most: The same; the smaller one counts.
            seconds: Time after which to give up.
            entity: Name or label of the entity; by default it is found in the text.

        Raises:
            QueryError: If no entity or no relation is named, or it takes too long.
        """
        asker, names, m = self._asker, self._asker.names, self._asker.facts.n_relations
        deadline = None if seconds is None else time.monotonic() + seconds
        question, limit = self.linker.link(text, entity, deadline), min(limit, most)
        ranked = self.ranked(question)
        best, cut = dict[str, Answer](), 0.0
        for path, probability in ranked:
            if sorted((x.probability or 0.0 for x in best.values()), reverse=True)[
                limit - 1 : limit
            ] > [probability]:
                break  # No answer of this path or of a later one could be shown.
            query = path_query(question.entity, path, m)
            found = asker.answer(query, limit=limit, deadline=deadline)
            cut = max(cut, probability * found.cut)
            for x in found:
                both = replace(x, probability=probability * (x.probability or 0.0))
                name = str(x.bindings[ASKED])
                best[name] = max(best.get(name, both), both, key=lambda y: y.probability or 0.0)
        answers = sorted(best.values(), key=lambda x: -(x.probability or 0.0))[:limit]
        paths = tuple(
            ChosenPath(path_names(path, names), path_labels(path, names), probability)
            for path, probability in ranked
        )
        return QuestionAnswers(
            answers,
            entity=names.entity_name(question.entity),
            label=names.entity_label(question.entity),
            named=question.named,
            paths=paths,
            learned_from=self._learned.questions if self._learned else 0,
            cut=cut,
        )


def question_asker(
    model: TrainedModel, source: str | None = None, learned: LearnedPaths | None = None
) -> QuestionAsker:
    """Return the model's asker of questions, which is made once and kept with the model."""
    key = ("questions", source)
    known, made = model.prepared.get(key, (None, None))
    if made is None or known is not learned:
        made = QuestionAsker(asker(model, source), learned)
        model.prepared[key] = learned, made
    found: QuestionAsker = made
    return found


def ask(
    model: TrainedModel,
    query: str,
    *,
    limit: int = ANSWERS,
    source: str | None = None,
    learned: Learned = None,
) -> Answers:
    """Answer a query in SPARQL or a question in words, as ``TrainedModel.ask`` says."""
    require_threads()
    if is_question(query):
        return question_asker(model, source, learned).ask(query, limit=limit)
    return asker(model, source).ask(query, limit=limit)


def learned_beside(directory: FilePath) -> LearnedPaths | None:
    """Return what was learned from questions for the model of a directory, None for nothing."""
    path = directory / FILE
    return LearnedPaths.read(path) if path.is_file() else None


def learn_questions(
    model: TrainedModel,
    pairs: FilePath | str | Iterable[QuestionPair | tuple[str, str]],
    *,
    encoder: str = TFIDF,
    source: str | None = None,
) -> LearnedPaths:
    """Learn which relation paths questions mean.

    Args:
        model: The model that will be asked.
        pairs: A TSV file with the columns question, path or answers, and perhaps entity; or pairs
            of question and path.
        encoder: ``tfidf`` for n-grams of characters, or a sentence encoder,
            ``sentence-transformers:MODEL`` or ``model2vec:MODEL``.
        source: As in ``TrainedModel.predict``.

    Raises:
        DataError: With the line, if the file cannot be read, a question names no entity, or a name
            is unknown.
    """
    require_threads()
    asking = asker(model, source)
    given = pairs_of(pairs)
    path = FilePath(pairs) if isinstance(pairs, FilePath | str) else None
    linker = QuestionLinker(asking.names, asking.facts.rows)
    own, m = asking.names.own_facts, asking.facts.n_relations
    stated = StatedPaths(own, model.graph.n_entities, m)
    linked, options = [], list[list[Path]]()
    for pair in given:
        try:
            linked.append(linker.link(pair.question, pair.entity))
            options.append(_options(pair, linked[-1], asking, stated))
        except KgraftError as error:
            if isinstance(error, DataError) or not pair.line:
                raise
            remedy = "Correct the line, or take it out"
            raise DataError(str(error), remedy=remedy, path=path, line=pair.line) from error
    counts = Counter(x for paths in options for x in paths)
    chosen = [
        (question, min(paths, key=lambda x: (len(x), -counts[x], x)))
        for question, paths in zip(linked, options, strict=True)
        if paths
    ]
    return learn_paths(
        [question.rest for question, _ in chosen],
        [path_names(x, asking.names) for _, x in chosen],
        [question.entity for question, _ in chosen],
        encoder,
    )


def _options(
    pair: QuestionPair, question: LinkedQuestion, asking: Asker, stated: StatedPaths
) -> list[Path]:
    """Return the paths that a question may mean by its path, or by its answers."""
    if pair.path:
        m = asking.facts.n_relations
        return [path_rows(path_steps(pair.path), asking.query_names, m)]
    names = asking.query_names
    answers = [names.entity(x, own=True) for x in pair.answers]
    return stated.paths_between(question.entity, np.unique(answers))
