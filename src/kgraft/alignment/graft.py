"""Graft: link a graph with a teacher's sources as well as can be, and re-train a student for it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kgraft.alignment.align import GIVEN_REASON, Alignment, Proposed, align
from kgraft.alignment.graft_links import file_links, same_iri_links, translated
from kgraft.alignment.settings import AlignSettings, GraftSettings
from kgraft.alignment.teacher_sources import joining_links, teacher_sources
from kgraft.alignment.write import write_alignment
from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.coverage import covered
from kgraft.linking.identity_links import PROVENANCE, identity_links, without_known
from kgraft.linking.links import Links
from kgraft.model.directory import save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft.settings import RetrainSettings
from kgraft.system.forks import require_threads
from kgraft.system.progress import Listener, default_listener
from kgraft.system.terminal import visible

LINKS_DIRECTORY: Final = "links"
"""Directory of found links in a student's directory."""

GRAFT_METRIC: Final = "graft"
"""The metric of a student that holds its ``Linkage``."""

NAMES_SHOWN: Final = 2


@dataclass(frozen=True)
class Linkage:
    """Numbers of a target's linked entities and relations, each counted once, and its coverage.

    Args:
        entities: Entities of the target.
        given: Those linked by links that were given.
        stated: Of the others, those linked by statements of sameness, such as ``owl:sameAs``.
        same_iri: Of the others, those with the IRI of an entity of the teacher.
        found: Of the others, those whose link was found by aligning.
        relations: Relations of the target.
        relations_by_name: Those of the same name as one of the teacher's.
        relations_given: Of the others, those linked by links that were given or stated.
        relations_found: Of the others, those whose link was found.
        covered: Share of the validation facts that a source of the teacher states; None: there are
            no such facts.
    """

    entities: int
    given: int
    stated: int
    same_iri: int
    found: int
    relations: int
    relations_by_name: int
    relations_given: int
    relations_found: int
    covered: float | None = None

    @property
    def linked(self) -> int:
        """Number of linked entities."""
        return self.given + self.stated + self.same_iri + self.found

    def lines(self) -> list[str]:
        """Return the numbers in words."""
        share = self.linked / max(self.entities, 1)
        by = [
            f"{self.given:,} by given links",
            f"{self.stated:,} by statements of sameness",
            f"{self.same_iri:,} by the same IRI",
            f"{self.found:,} by links found in names, values and structure",
        ]
        relations = self.relations_by_name + self.relations_given + self.relations_found
        lines = [
            (
                f"entities: {self.linked:,} of {self.entities:,} ({share:.0%}) are linked to what "
                f"the teacher knows: {', '.join(x for x in by if not x.startswith('0 ')) or 'none'}"
            ),
            (
                f"relations: {relations:,} of {self.relations:,} are the teacher's: "
                f"{self.relations_by_name:,} by name, {self.relations_given:,} by given links, "
                f"{self.relations_found:,} found"
            ),
        ]
        if self.covered is not None:
            lines.append(f"coverage: {self.covered:.0%} of the validation facts are stated there")
        return lines


@dataclass(frozen=True, eq=False)
class LinkedTarget:
    """A target linked with a teacher's sources.

    Args:
        collection: The target, the sources, and all links between it and them.
        alignment: The links that were found.
        linkage: How much is linked, and by what.
    """

    collection: Collection
    alignment: Alignment
    linkage: Linkage

    def write(self, directory: Path) -> None:
        """Write the found links, as ``write_alignment`` does, into a directory of a directory."""
        write_alignment(self.alignment, directory / LINKS_DIRECTORY)


@dataclass(frozen=True, eq=False)
class Graft:
    """Result of ``graft``.

    Args:
        student: The student, with its ``Linkage`` and what it gains over the same machinery alone
            in its ``metrics``.
        linked: The target as it was linked.
    """

    student: TrainedModel
    linked: LinkedTarget

    def __repr__(self) -> str:
        return visible(
            "<Graft: " + "; ".join([*self.linked.linkage.lines(), repr(self.student)]) + ">"
        )

    def save(self, directory: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the student to a directory, and the found links into its ``links``.

        Raises:
            ModelDirectoryError: As ``TrainedModel.save``.
        """
        save_model(self.student, directory, overwrite=overwrite, beside=self.linked.write)


def graft(
    data: Collection | KnowledgeGraph | str | PathLike[str],
    teacher: TrainedModel,
    settings: RetrainSettings | None = None,
    *,
    target: str | None = None,
    links: Sequence[str | PathLike[str]] = (),
    align: AlignSettings | None = None,
    start: TrainedModel | None = None,
    decisions: Path | Sequence[Path] = (),
    compare_alone: bool = True,
    options: RunOptions | None = None,
    device: str = "cpu",
) -> Graft:
    """Link a graph with a teacher's sources, and re-train a student for it.

    Links are those given, statements of sameness, equal IRIs, and what ``align`` finds besides by
    names, values and structure. Relations that correspond are linked too.

    Args:
        data: The graph, its file, or a collection with it as the target.
        teacher: A model that ``pretrain`` has made.
        settings: Those of ``retrain``, or ``GraftSettings`` with those of ``align`` too; by default
            as in ``retrain``.
        target: The graph that the student is for; by default the collection's target.
        links: Files of further links between the graph and any of the teacher's sources.
        align: Settings of the search for links; by default those in ``settings``.
        start: An earlier student of the target to update, as in ``retrain``.
        decisions: Review files, as in ``retrain``.
        compare_alone: Whether to train the same machinery without links beside it, if there are
            validation facts to compare on.
        options: Listener and directory of the run.
        device: Device to train on, as in ``retrain``.

    Raises:
        DataError: If something cannot be read, there is no fact to train on, the graph has the name
            of one of the teacher's sources, or no link is found.
        UnknownNameError: If there is no such target.
    """
    require_threads()
    listener = (options and options.listener) or default_listener()
    chosen = align or (settings.align if isinstance(settings, GraftSettings) else None)
    linked = link_target(data, teacher, chosen, target=target, links=links, listener=listener)
    return graft_linked(
        linked,
        teacher,
        settings,
        start=start,
        decisions=decisions,
        compare_alone=compare_alone,
        options=options,
        device=device,
    )


def graft_linked(
    linked: LinkedTarget,
    teacher: TrainedModel,
    settings: RetrainSettings | None = None,
    *,
    start: TrainedModel | None = None,
    decisions: Path | Sequence[Path] = (),
    compare_alone: bool = True,
    options: RunOptions | None = None,
    device: str = "cpu",
) -> Graft:
    """Re-train a student for a target that ``link_target`` has linked; as ``graft``."""
    own = linked.collection.target_graph
    student = retrain(
        linked.collection,
        teacher,
        None if settings is None else retraining_settings(settings),
        start=start,
        decisions=decisions,
        compare_alone=compare_alone and len(own.valid) > 0,
        options=options,
        device=device,
    )
    linkage = linked.linkage
    if len(own.valid):
        linkage = replace(
            linkage, covered=float(covered(student.graph, own.name, own.valid).mean())
        )
    metrics = {**student.metrics, GRAFT_METRIC: asdict(linkage)}
    return Graft(replace(student, metrics=metrics), replace(linked, linkage=linkage))


def retraining_settings(settings: RetrainSettings) -> RetrainSettings:
    """Return the settings of ``retrain`` among those of ``graft``."""
    given = settings.model_dump(exclude_unset=True, exclude={"align"})
    return RetrainSettings.model_validate(given)


def link_target(
    data: Collection | KnowledgeGraph | str | PathLike[str],
    teacher: TrainedModel,
    settings: AlignSettings | None = None,
    *,
    target: str | None = None,
    links: Sequence[str | PathLike[str]] = (),
    allow_outside: bool = False,
    listener: Listener | None = None,
) -> LinkedTarget:
    """Link a graph with a teacher's sources by all that is given, stated and found.

    Args and errors are those of ``graft``; ``allow_outside`` is that of ``read_collection``.
    """
    sources = teacher_sources(teacher)
    known = _read(data, sources, allow_outside=allow_outside)
    own = _target_of(known, target, sources)
    graphs = {own.name: own, **sources}
    given = [x for x in translated(known, own, sources) if x.provenance != PROVENANCE]
    given += [x for path in links for x in file_links(Path(path), own, sources)]
    in_data = [x for x in translated(known, own, sources) if x.provenance == PROVENANCE]
    in_data += [x for x in identity_links(list(graphs.values())).links if x.joins(own.name)]
    stated = without_known(in_data, given)
    same_iri = without_known(same_iri_links(own, sources), [*given, *stated])
    certain = (*given, *stated, *same_iri)
    joined = Collection(
        known.name, graphs, (*certain, *joining_links(teacher.graph)), own.name, known.description
    )
    alignment = _without_implied(align(joined, settings, target=own.name, listener=listener))
    found = tuple(x for x in alignment.links() if x.joins(own.name))
    if not any(len(x) for x in (*certain, *found) if x.kind == "entity"):
        raise _nothing_found(own, sources)
    linkage = _linkage(own, sources, (given, stated, same_iri, found))
    return LinkedTarget(replace(joined, links=(*certain, *found)), alignment, linkage)


def _read(
    data: Collection | KnowledgeGraph | str | PathLike[str],
    sources: Mapping[str, KnowledgeGraph],
    *,
    allow_outside: bool,
) -> Collection:
    if isinstance(data, Collection):
        return data
    if isinstance(data, KnowledgeGraph):
        return Collection(data.name, {data.name: data}, target=data.name)
    with warnings.catch_warnings():
        # That a graph has no links yet is what graft is for, and it tells what statements link.
        for message in (".*the target .* has no links", ".* statements of sameness of"):
            warnings.filterwarnings("ignore", message=message)
        return read_collection(str(data), sources, allow_outside=allow_outside)


def _target_of(
    known: Collection, target: str | None, sources: Mapping[str, KnowledgeGraph]
) -> KnowledgeGraph:
    """Return the graph to graft.

    Raises:
        DataError: If it is one of the teacher's sources, or has no training facts.
    """
    others = [name for name in known.graphs if name not in sources]
    chosen = target or known.target or (others[0] if len(others) == 1 else None)
    own = replace(known, target=chosen).target_graph
    if own.name in sources:
        raise DataError(
            f"{own.name!r} is the name of one of the teacher's sources",
            remedy="Rename the file, or name the graph otherwise in a collection.toml; what the "
            "teacher has learned from needs no graft",
        )
    if not len(own.train):
        raise DataError(
            f"{own.name!r} has no training facts", remedy="Give a file with at least one fact"
        )
    return own


def _without_implied(alignment: Alignment) -> Alignment:
    """Return an alignment without the links that follow from given ones."""
    kept = []
    for x in alignment.proposed:
        new = np.array([why != GIVEN_REASON for why in x.evidence])
        if new.any():
            pairs, confidence = x.links.pairs[new], x.links.confidence[new]
            why = tuple(why for why in x.evidence if why != GIVEN_REASON)
            kept.append(Proposed(replace(x.links, pairs=pairs, confidence=confidence), why))
    return replace(alignment, proposed=tuple(kept))


def _linkage(
    own: KnowledgeGraph,
    sources: Mapping[str, KnowledgeGraph],
    origins: Sequence[Sequence[Links]],
) -> Linkage:
    """Count what is linked, each entity and relation by the first of the origins that links it."""
    given, stated, same_iri, found = _first_origin(
        own, origins, "entity", np.zeros(len(own.entities), np.bool_)
    )
    named = np.zeros(len(own.relations), dtype=np.bool_)
    for source in sources.values():
        named |= source.relations.rows(own.relations.names) >= 0
    relations = _first_origin(own, origins, "relation", named)
    return Linkage(
        len(own.entities),
        given,
        stated,
        same_iri,
        found,
        len(own.relations),
        int(named.sum()),
        sum(relations[:3]),
        relations[3],
    )


def _first_origin(
    own: KnowledgeGraph, origins: Sequence[Sequence[Links]], kind: str, known: NDArray[np.bool_]
) -> list[int]:
    """Return for each origin the number of rows that it links, and no earlier one."""
    counts, known = [], known.copy()
    for links in origins:
        before = int(known.sum())
        for x in links:
            if x.kind == kind:
                known[x.pairs[:, int(x.right == own.name)]] = True
        counts.append(int(known.sum()) - before)
    return counts


def _nothing_found(own: KnowledgeGraph, sources: Mapping[str, KnowledgeGraph]) -> DataError:
    """Return the error that no entity could be linked."""
    theirs = [x for x in sources.values() if x.labels is None]
    problem = (
        f"no entity of {own.name!r} is linked to what the teacher knows, and no link was found: "
        f"{_called(own)}, and the teacher's {'; '.join(_called(x) for x in sources.values())}"
    )
    if theirs and all(
        x.entities.names.str.contains(r"^[A-Z]?\d+$|[/#:_][A-Z]?\d+$").all() for x in theirs
    ):
        problem += " (the teacher has numbers for names, and no labels to compare)"
    return DataError(
        problem,
        remedy="Give links by --links FILE (in Python links=[...]), or labels: rdfs:label in RDF, "
        "or labels of a [[source]], of the teacher's sources too; or train on the graph's own "
        "facts: kgraft train --alone",
    )


def _called(graph: KnowledgeGraph) -> str:
    shown = [graph.label(row) for row in range(min(NAMES_SHOWN, len(graph.entities)))]
    return f"{graph.name}'s names are such as {', '.join(map(repr, shown))}"
