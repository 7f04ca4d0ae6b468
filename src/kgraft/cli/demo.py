"""The demonstration: two graphs about the world improve a third."""

from __future__ import annotations

import time
from pathlib import Path

from rich.table import Table

from kgraft.cli.console import out
from kgraft.config import RetrainSettings, TrainingSettings, TrainSettings
from kgraft.evaluation.evaluate import Evaluation, evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.inference.predict import predict
from kgraft.linking.collection import read_collection
from kgraft.model.directory import check_free, save_model
from kgraft.model.trained import TrainedModel
from kgraft.progress import Bar
from kgraft.training.pretrain import pretrain
from kgraft.training.retrain import retrain
from kgraft.training.run import Watching
from kgraft.training.train import train


def run_demo(directory: Path) -> None:
    """Pre-train on the backgrounds of ``world``, re-train for its target, and show what it gains.

    Raises:
        ModelDirectoryError: If something else than an earlier demonstration is in the way.
    """
    teacher_place, student_place = directory / "teacher", directory / "student"
    for place in (teacher_place, student_place):
        check_free(place, overwrite=True)
    begin = time.perf_counter()
    collection = read_collection("world")
    own = collection.target_graph
    out.print(
        f"[bold]{own.name}[/] ({_size(own)}) is linked to "
        + " and ".join(f"{x} ({_size(collection.graphs[x])})" for x in collection.backgrounds())
    )
    watching = Watching(Bar())
    alone = train(collection, TrainSettings(), alone=True, watching=watching)
    # The backgrounds hold no validation facts that could stop the teacher, so its epochs are few.
    few = TrainSettings(training=TrainingSettings(epochs=10))
    teacher = pretrain(collection, few, watching=watching)
    student = retrain(collection, teacher, RetrainSettings(), watching=watching)
    save_model(teacher, teacher_place, overwrite=True)
    save_model(student, student_place, overwrite=True)
    out.print(_comparison(evaluate(alone, collection), evaluate(student, collection)))
    for line in _in_words(student, own):
        out.print(line, highlight=False)
    out.print(
        f"The student is in {student_place}, its teacher in {teacher_place}; "
        f"that took {time.perf_counter() - begin:.0f} seconds. Ask it more:",
        highlight=False,
    )
    head, relation, _ = _shown(own)[0]
    question = f'--head "{own.entities.name(head)}" --relation {own.relations.name(relation)}'
    out.print(f"  kgraft predict {student_place} {question}", highlight=False)


def _size(graph: KnowledgeGraph) -> str:
    return f"{len(graph.entities):,} entities, {len(graph.train):,} facts"


def _comparison(alone: Evaluation, student: Evaluation) -> Table:
    table = Table(title="Held-out facts of the target, in percent", title_justify="left")
    table.add_column("facts")
    for name in ("queries", "MRR alone", "MRR student", "Hits@10 alone", "Hits@10 student"):
        table.add_column(name, justify="right")
    for before, after in zip(alone.rows(), student.rows(), strict=True):
        if before["side"] == "both" and before["queries"]:
            figures = [x[key] for key in ("mrr", "hits@10") for x in (before, after)]
            facts = {
                "all": "all",
                "covered": "that a background states too",
                "uncovered": "that no background states",
            }[before["facts"]]
            table.add_row(facts, f"{before['queries']:,}", *(f"{100 * x:.1f}" for x in figures))
    return table


def _shown(graph: KnowledgeGraph) -> list[tuple[int, int, int]]:
    """Return one held-out fact of each of the most frequent relations."""
    facts: dict[int, tuple[int, int, int]] = {}
    for head, relation, tail in graph.test.tolist():
        facts.setdefault(relation, (head, relation, tail))
    counts = {relation: int((graph.test[:, 1] == relation).sum()) for relation in facts}
    return [facts[x] for x in sorted(facts, key=lambda x: (-counts[x], x))[:4]]


def _in_words(student: TrainedModel, graph: KnowledgeGraph) -> list[str]:
    """Answer held-out questions with what the student finds most plausible and not yet known."""
    lines = []
    for head, relation, tail in _shown(graph):
        answers = predict(
            student,
            head=graph.entities.name(head),
            relation=graph.relations.name(relation),
            k=len(graph.entities),
        )
        new = [answer for answer in answers if graph.name not in answer.stated_by][:3]
        right = graph.entities.name(tail)
        found = ", ".join(
            f"[green]{x.label} (right)[/]" if x.tail == right else x.label for x in new
        )
        lines.append(f"{graph.label(head)} {graph.relations.name(relation)}: {found}")
    return lines
