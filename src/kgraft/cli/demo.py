"""The command ``demo``: two graphs about the world improve a third."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from kgraft.cli.console import out, say, use_threads
from kgraft.cli.options import ThreadsOption
from kgraft.errors import counted
from kgraft.system.messages import report_errors

if TYPE_CHECKING:
    from kgraft.evaluation.evaluate import Evaluation
    from kgraft.graph.knowledge_graph import KnowledgeGraph
    from kgraft.model.trained_model import TrainedModel

QUERIES, ANSWERS, RULES = 6, 3, 3
"""Queries shown, answers to each, and relations with a rule shown."""


def demo(
    directory: Annotated[
        Path, typer.Option("--out", "-o", help="Directory for teacher and student.")
    ] = Path("kgraft-demo"),
    threads: ThreadsOption = None,
) -> None:
    """See it work: two graphs about the world improve a third, in under a minute."""
    with report_errors():
        use_threads(threads)
        run_demo(directory)


def run_demo(directory: Path) -> None:
    """Pre-train on the backgrounds of ``world``, re-train for its target, and show what it gains.

    Raises:
        ModelDirectoryError: If something else than an earlier demonstration is in the way.
    """
    from kgraft.cli.report import report_beside
    from kgraft.evaluation.evaluate import evaluate
    from kgraft.io.read_collection import read_collection
    from kgraft.model.directory import check_free, save_model
    from kgraft.pipeline.pretrain import pretrain
    from kgraft.pipeline.retrain import retrain
    from kgraft.pipeline.run import RunOptions
    from kgraft.pipeline.train import train
    from kgraft.settings import RetrainSettings, TrainingSettings, TrainSettings
    from kgraft.system.progress import default_listener

    teacher_place, student_place = directory / "teacher", directory / "student"
    for place in (teacher_place, student_place):
        check_free(place, overwrite=True)
    begin = time.perf_counter()
    collection = read_collection("world")
    own = collection.target_graph
    say(f"target      {own.name}: {_size(own)}")
    for name in collection.backgrounds():
        say(f"background  {name}: {_size(collection.graphs[name])}")
    options = RunOptions(default_listener())
    alone = train(collection, RetrainSettings().for_alone(), alone=True, options=options)
    # The backgrounds hold no validation facts that could stop the teacher, so its epochs are few.
    few = TrainSettings(training=TrainingSettings(epochs=10))
    teacher = pretrain(collection, few, options=options)
    student = retrain(collection, teacher, RetrainSettings(), options=options)
    save_model(teacher, teacher_place, overwrite=True)
    save_model(student, student_place, overwrite=True)
    report_beside(teacher, teacher_place, collection)
    report_place = report_beside(student, student_place, collection)
    before, after = evaluate(alone, collection), evaluate(student, collection)
    out.print(_comparison(before, after))
    for line in _gain_lines(own.name, before, after):
        say(line)
    out.print("Asked for held-out facts, the student answers, best first:")
    for answers in _answer_lines(student, own):
        out.print(answers)
    out.print("The most confident rule for each of the most frequent relations:")
    for line in _rule_lines(student, own):
        say(f"  {line}")
    say(
        f"That took {time.perf_counter() - begin:.0f} seconds. The student is in {student_place}, "
        f"its teacher in {teacher_place}, a report with figures in {report_place}. Ask it more:"
    )
    head, relation, _ = _shown(own)[0]
    question = f'--head "{own.entities.name(head)}" --relation {own.relations.name(relation)}'
    say(f"  kgraft predict {student_place} {question}")
    say(f"  kgraft rules {student_place}")
    say("Or look at its page, which this starts at http://127.0.0.1:8000:")
    say(f"  kgraft serve {student_place}")


def _size(graph: KnowledgeGraph) -> str:
    return f"{counted(len(graph.entities), 'entity')}, {counted(len(graph.train), 'fact')}"


def _comparison(alone: Evaluation, student: Evaluation) -> Table:
    table = Table(title="Held-out facts of the target, in percent", title_justify="left")
    table.add_column("facts")
    for name in ("queries", "MRR\nalone", "MRR\nstudent", "Hits@10\nalone", "Hits@10\nstudent"):
        table.add_column(Text(name), justify="right")
    words = {"all": "all", "covered": "stated by a background", "uncovered": "stated by none"}
    before, after = (
        {x["facts"]: x for x in measured.rows() if x["side"] == "both"}
        for measured in (alone, student)
    )
    for part, facts in words.items():
        if n_queries := before[part]["queries"]:
            figures = [x[part][key] for key in ("mrr", "hits@10") for x in (before, after)]
            table.add_row(facts, f"{n_queries:,}", *(f"{100 * x:.1f}" for x in figures))
    return table


def _gain_lines(name: str, alone: Evaluation, student: Evaluation) -> Iterator[str]:
    """Say in words what the backgrounds are worth."""
    yield (
        f"alone is trained on {name} only, with rules, frequency prior and ensemble as the student "
        "has them: what is above it comes from the backgrounds."
    )
    for facts, words in (("covered", "a background states"), ("uncovered", "no background states")):
        before, after = (x.mrr(facts=facts) for x in (alone, student))
        yield f"Facts that {words}: {100 * (after - before):+.0f} points of MRR."


def _shown(graph: KnowledgeGraph) -> list[tuple[int, int, int]]:
    """Return a held-out fact of each of the most frequent relations, drawn by a fixed seed."""
    import numpy as np

    relations, counts = np.unique(graph.test[:, 1], return_counts=True)
    draw = np.random.default_rng(0)
    facts = []
    for relation in relations[np.argsort(-counts, kind="stable")][:QUERIES]:
        asked = graph.test[graph.test[:, 1] == relation]
        head, _, tail = asked[draw.integers(len(asked))].tolist()
        facts.append((head, int(relation), tail))
    return facts


def _rule_lines(student: TrainedModel, graph: KnowledgeGraph) -> Iterator[str]:
    from kgraft.inference.rules import rules

    for _, relation, _ in _shown(graph)[:RULES]:
        for rule in rules(student, relation=graph.relations.name(relation), k=1, n_examples=0):
            yield f"{rule.confidence:.2f}  {rule.text}"


def _answer_lines(student: TrainedModel, graph: KnowledgeGraph) -> Iterator[Text]:
    """Answer held-out queries, without the target's training facts."""
    from kgraft.inference.predict import predict

    for head, relation, tail in _shown(graph):
        name, asked = graph.entities.name(head), graph.relations.name(relation)
        tails = graph.train[(graph.train[:, :2] == (head, relation)).all(axis=1), 2]
        known = set(graph.entities.names_of(tails))
        answers = predict(student, head=name, relation=asked, k=len(known) + ANSWERS)
        new = [answer for answer in answers if answer.tail not in known][:ANSWERS]
        right = graph.entities.name(tail)
        found = [
            Text(f"{x.label} (held out: right)", "green") if x.tail == right else Text(x.label)
            for x in new
        ]
        yield Text(f"  {name}, {asked}: ") + Text(", ").join(found)
