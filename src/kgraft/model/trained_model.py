"""A trained model: its vectors, names, facts, settings, rules and training log, and its methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import torch

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Side
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.calibration import Calibration
from kgraft.model.evidence import By, Evidence
from kgraft.model.fact_probability import FactProbability
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import MappedScorer, Scorer, rows_of
from kgraft.settings import TrainSettings
from kgraft.system.devices import parse_device
from kgraft.system.tables import cell, html_table
from kgraft.system.terminal import visible

if TYPE_CHECKING:
    from kgraft.evaluation.evaluate import Evaluation, Filter, Split
    from kgraft.evaluation.ranks import Tie
    from kgraft.inference.check import SuspectFact
    from kgraft.inference.explanation import Explanation
    from kgraft.inference.predict import Prediction
    from kgraft.inference.results import Results
    from kgraft.inference.rules import ReadableRule
    from kgraft.inference.similar import Neighbour
    from kgraft.querying.answers import Answers
    from kgraft.querying.questions import Learned

Kind = Literal["single", "joint", "teacher", "student"]
"""``single``: of one graph; ``joint``: of all graphs, from scratch; ``teacher``: pre-trained;
``student``: re-trained for a target."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model and all that its use needs.

    Args:
        kind: Kind of training.
        kge: Weights and encoder.
        graph: Names of its rows, and the facts that it was trained on. The last entities may have
            no vector, and be answers by rules only.
        target: The graph that it answers queries about; None for a teacher.
        settings: Settings of its training.
        log: One entry an epoch: mean loss terms, validation MRR, seconds.
        metrics: Measured figures by name.
        evidence: Rules, source reliability and ensemble weights, where it has rules.
        calibration: Score-to-probability function of each way to answer, where it could be fitted.
        fact_probability: Judge of facts that the target does not state, where it could be fitted.
        held_out: Validation and test facts of each source that has some, int64 ``(n, 3)`` in the
            model's rows. It was not trained on them, and does not propose them as missing.
        attributes: Returns those of a teacher's sources that aligning can use.
    """

    kind: Kind
    kge: KgeModel
    graph: JointGraph
    target: str | None
    settings: TrainSettings
    log: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    calibration: Mapping[By, Calibration] = field(default_factory=dict)
    fact_probability: FactProbability | None = None
    held_out: Mapping[str, Triples] = field(default_factory=dict)
    attributes: Callable[[], Mapping[str, pl.DataFrame]] = dict
    prepared: dict[Any, Any] = field(default_factory=dict, init=False)
    """Parts made for earlier queries, kept for later ones."""

    def __repr__(self) -> str:
        about = ", ".join(f"{name} {cell(value)}" for name, value in self._summary().items())
        return visible(f"<TrainedModel: {about}>")

    def _repr_html_(self) -> str:
        names, values = zip(*self._summary().items(), strict=True)
        return html_table(pl.DataFrame({"trained model": names, "": [*map(cell, values)]}))

    def _summary(self) -> dict[str, Any]:
        found = {
            "kind": self.kind,
            "target": self.target,
            "encoder": self.settings.model.encoder,
            "width": self.settings.model.width,
            "sources": len(self.graph.parts),
            "entities": self.graph.n_entities,
            "relations": self.graph.n_relations,
            "facts": len(self.graph.triples),
            "parameters": self.kge.n_parameters,
            "epochs": len(self.log),
            "validation MRR": self.metrics.get("validation_mrr"),
        }
        return {name: value for name, value in found.items() if value is not None}

    def save(self, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model to a directory, whole or not at all.

        Args:
            directory: Where to; ``kgraft.load_model`` reads it.
            overwrite: Whether a model there is replaced.

        Raises:
            ModelDirectoryError: If the directory exists and is not to be overwritten, or is no
                model, or cannot be written; what was there before stays.
        """
        from kgraft.model.directory import save_model

        save_model(self, directory, overwrite=overwrite)

    def evaluate(
        self,
        collection: Collection,
        *,
        target: str | None = None,
        split: Split = "test",
        sides: Sequence[Side] = ("tail", "head"),
        filters: Sequence[Filter] = ("all",),
        tie: Tie = "realistic",
        by: By | None = None,
        max_facts: int | None = None,
        include_trained: bool = False,
    ) -> Evaluation:
        """Rank a graph's held-out facts among its own entities.

        Args:
            collection: Holds the graph, and the sources that may state its facts too; a teacher is
                asked through its links.
            target: The graph; by default the collection's target.
            split: Which facts are asked for.
            sides: Which ends are asked for.
            filters: Which known facts are no wrong answers.
            tie: How ties count.
            by: What the model answers by; by default what its validation facts favour.
            max_facts: The maximum number of facts; of more, a fixed sample is taken.
            include_trained: Rank facts that the model was trained on too; else they are left out.

        Raises:
            DataError, UnknownNameError: If the graph has no facts in the split, the model was
                trained on all, or names are unknown.
            ValueError: If the model has no rules to answer by.

        Warns:
            KgraftWarning: If the model was trained on some of the facts.
        """
        from kgraft.evaluation.evaluate import evaluate

        facts: dict[str, Any] = {"target": target, "split": split, "sides": sides, "by": by}
        facts |= {"max_facts": max_facts, "include_trained": include_trained}
        return evaluate(self, collection, filters=filters, tie=tie, **facts)

    def predict(
        self,
        *,
        head: str | None = None,
        relation: str | None = None,
        tail: str | None = None,
        source: str | None = None,
        k: int = 10,
        by: By | None = None,
        typed: bool = False,
    ) -> Results[Prediction]:
        """Answer ``(h, r, ?)``, ``(?, r, t)`` or ``(h, ?, t)``, or judge a fact: give all three.

        Args:
            head: Name or label of the head.
            relation: Name of the relation, or its last part where that is unambiguous.
            tail: Name or label of the tail.
            source: The graph whose names are used and whose entities are candidates; by default the
                model's target, or a teacher's first source.
            k: The maximum number of answers.
            by: How entities are ranked; by default the way that validation facts favour. Relations
                are ranked by probability.
            typed: Answer only with entities in the observed domain or range of the relation.

        Returns:
            Answers, the best first; of a fact, itself with its probability.

        Raises:
            UnknownNameError: If a name is unknown, a label belongs to several entities, or an
                entity has no vector.
            ValueError: If fewer than two of the three are given, ``k`` is below 1, or the model
                has no rules to answer by.
        """
        from kgraft.inference.predict import predict

        asked = {"head": head, "relation": relation, "tail": tail}
        return predict(self, **asked, source=source, k=k, by=by, typed=typed)

    def fold_in(
        self,
        facts: Iterable[tuple[str, str, str]] | pl.DataFrame = (),
        links: Iterable[tuple[str, str, str]] = (),
        texts: Mapping[str, str] | None = None,
    ) -> TrainedModel:
        """Return the model, not to be saved, with more facts and vectors of their new entities.

        Args:
            facts: Head, relation and tail by name; entities that the target lacks are new.
            links: A new entity, another source, and its name of the entity; a ``KgraftWarning``
                counts those to entities without a fact.
            texts: Texts by name of entity; those of known ones, or else labels, tell their meaning.

        Raises:
            KgraftError: If a name is unknown or ambiguous, a link cannot be followed, texts are too
                few, or the model has no target.
        """
        from kgraft.inference.fold_in import fold_in

        return fold_in(self, facts, links, texts)

    def ask(
        self, query: str, *, limit: int = 10, source: str | None = None, learned: Learned = None
    ) -> Answers:
        """Answer SPARQL or a question, also by facts that the graph lacks, the best answer first.

        Args:
            query: As docs/asking.md has it: ``SELECT ?x WHERE { ?x :borders :Syria }``, or words.
            limit: The maximum number of answers, where the query sets none.
            source: As in ``predict``.
            learned: What questions mean, from ``kgraft.querying.questions.learn_questions``.

        Raises:
            KgraftError: If it cannot be read, has what is not supported, or an unknown name.
        """
        from kgraft.querying.questions import ask

        return ask(self, query, limit=limit, source=source, learned=learned)

    def explain(
        self,
        head: str,
        relation: str,
        tail: str,
        *,
        source: str | None = None,
        by: By | None = None,
    ) -> Explanation:
        """Explain why the model finds a fact plausible, be it stated or predicted.

        Args:
            head: Name or label of the head.
            relation: Name of the relation, or its last part where that is unambiguous.
            tail: Name or label of the tail.
            source: As in ``predict``.
            by: As in ``predict``.

        Raises:
            UnknownNameError, ValueError: As in ``predict``.
        """
        from kgraft.inference.explain import explain

        return explain(self, head, relation, tail, source=source, by=by)

    def similar(self, entity: str, *, source: str | None = None, k: int = 10) -> Results[Neighbour]:
        """Return the entities with the most similar vectors, by cosine.

        Args:
            entity: Name or label of the entity.
            source: As in ``predict``; its entities are compared.
            k: The maximum number of entities.

        Raises:
            UnknownNameError, ValueError: As in ``predict``.
        """
        from kgraft.inference.similar import similar

        return similar(self, entity, source=source, k=k)

    def rules(
        self, *, relation: str | None = None, k: int = 20, n_examples: int = 1
    ) -> Results[ReadableRule]:
        """Return the model's rules, the most confident first.

        Args:
            relation: The relation that they infer, as in ``predict``; by default any.
            k: The maximum number of rules.
            n_examples: The maximum number of examples for each.

        Raises:
            UnknownNameError, ValueError: If the relation is unknown, or the model has no rules.
        """
        from kgraft.inference.rules import rules

        return rules(self, relation=relation, k=k, n_examples=n_examples)

    def check(self, *, k: int | None = 100, min_probability: float = 0.0) -> Results[SuspectFact]:
        """Return the target's stated facts that are most probably wrong, the most probable first.

        Each fact is judged without itself, by vectors and rules that are made for the check, and by
        counts; small graphs take seconds, large ones about as long as their training.

        Args:
            k: The maximum number of facts; None for all.
            min_probability: The least probability that a fact is wrong.

        Raises:
            ValueError, KgraftError: If ``k`` is below 1, or there is no fact to check.
        """
        from kgraft.inference.check import check

        return check(self, k=k, min_probability=min_probability)

    def report(
        self,
        path: str | os.PathLike[str],
        collection: Collection | None = None,
        *,
        target: str | None = None,
        split: Split = "valid",
        by: By | None = None,
        include_trained: bool = False,
    ) -> None:
        """Write one HTML page on the model: its training, quality, rules, entities and settings.

        Args:
            path: The file.
            collection: Where given, held-out facts of the model's target, or of a teacher's
                sources, are measured: a sample where there are many.
            target: A graph to measure instead.
            split: Which facts; test facts are for the end.
            by: What the model answers by; by default what its validation facts favour.
            include_trained: As in ``evaluate``.

        Raises:
            KgraftError: If the file is there already and no report, or there is no such target.
        """
        from kgraft.reporting.model_report import report
        from kgraft.reporting.page import check_replaceable, write_page

        check_replaceable(Path(path))
        how: dict[str, Any] = {"target": target, "split": split, "by": by}
        write_page(Path(path), report(self, collection, include_trained=include_trained, **how))

    @property
    def answers_by(self) -> By:
        """The default way to answer, the best on validation facts."""
        return "vectors" if self.evidence is None else self.evidence.best

    def on(self, device: str | torch.device) -> TrainedModel:
        """Return the model with its vectors on a device: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.

        There it can be evaluated; everything else needs it on the CPU.

        Raises:
            SettingsError: If there is no such device.
        """
        return replace(self, kge=self.kge.on(parse_device(device)))

    def scorer(self, by: By | None = None) -> Scorer:
        """Return the scorer of candidates in the model's rows.

        Args:
            by: The way to answer; by default ``answers_by``.

        Raises:
            ValueError: If the model has no rules to answer by.
        """
        by = by or self.answers_by
        if by == "vectors":
            return self.kge
        evidence, target = self.require_evidence()
        return evidence.scorer(by, self.kge, evidence.index_in(self.graph, target))

    def require_evidence(self) -> tuple[Evidence, str]:
        """Return the model's evidence and target.

        Raises:
            ValueError: If the model has no rules.
        """
        if self.evidence is None or self.target is None:
            raise ValueError(
                f"this {self.kind} has no rules to answer by; students have, "
                "unless rules.longest is 0"
            )
        return self.evidence, self.target

    def scorer_for(
        self, collection: Collection, name: str, by: By | None = None, *, require_fit: bool = True
    ) -> MappedScorer:
        """Return a scorer in the rows of one of a collection's graphs.

        Entities and relations of a graph that the model was trained on are found by name; those of
        any other graph by the collection's links to the model's sources.

        Raises:
            DataError: If the model knows no entity of the graph, or no relation of its own source.
        """
        known = self.graph, self.kge.has_vector, self.settings.relations
        rows = rows_of(collection, name, *known, require_fit=require_fit)
        return MappedScorer(self.scorer(by), *rows)
