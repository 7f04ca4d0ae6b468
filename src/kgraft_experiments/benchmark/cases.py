"""Cases of a benchmark: a system, a target and settings each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from kgraft.errors import UnknownNameError
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.linked_subgraph import connect
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft_experiments.benchmark.settings import (
    SYSTEMS,
    BenchmarkSettings,
    System,
    student_variants,
    with_width,
)


class Case(BaseModel):
    """One model to train and measure.

    Args:
        targets: Graphs that it is measured on; only a teacher has more than one.
        system: Kind of model.
        settings: Its settings.
        variant: Name of these settings; ``all`` are the system's own.
        share: Share of the target's entity links that training may use.
        teacher: Of a student, the case of its teacher.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[str, ...]
    system: System
    settings: TrainSettings | RetrainSettings
    variant: str = "all"
    share: float = 1.0
    teacher: Case | None = None

    @property
    def target(self) -> str:
        """The target, or all of them with commas between."""
        return ",".join(self.targets)

    @property
    def seed(self) -> int:
        """Seed of the model, and of the choice of links."""
        return self.settings.training.seed

    @property
    def keeps_model(self) -> bool:
        """Whether the model stays on disk after it was measured."""
        return self.system == "teacher" or (
            self.system == "student" and self.variant == "all" and self.share == 1
        )

    def row_labels(self) -> dict[str, str | int | None]:
        """Return the columns by which its rows differ from those of other cases."""
        return {
            "system": self.system,
            "seed": self.seed,
            "width": self.settings.model.width,
            "encoder": self.settings.model.encoder,
            "teacher": None if self.teacher is None else self.teacher.settings.model.encoder,
        }

    def __str__(self) -> str:
        variant = "" if self.variant == "all" else f", {self.variant}"
        links = "" if self.share == 1 else f", {self.share:.0%} of the links"
        sizes = f"seed {self.seed}, width {self.settings.model.width}"
        return f"{self.system}{variant}{links} for {self.target} ({sizes})"


TeacherOf = Callable[[str], Case]
"""Function that returns the teacher's case of a target."""


def chosen_targets(collection: Collection, given: Sequence[str] | None) -> list[str]:
    """Return the graphs to measure: those given, else the collection's target, else all.

    Raises:
        UnknownNameError: If a target is not in the collection.
    """
    if given is None:
        return [collection.target] if collection.target else list(collection.graphs)
    for name in given:
        if name not in collection.graphs:
            known = ", ".join(collection.graphs)
            raise UnknownNameError(f"no source is called {name!r}; there are {known}")
    return list(dict.fromkeys(given))


def backgrounds(collection: Collection, targets: Sequence[str]) -> list[str]:
    """Return the sources of these targets' teacher: all graphs besides them."""
    return [name for name in collection.graphs if name not in targets]


def teachers(
    collection: Collection, targets: Sequence[str], settings: TrainSettings, *, reuse: bool
) -> TeacherOf:
    """Return the teacher of each target: one of its own, or with ``reuse`` one for all.

    Raises:
        ValueError: If one teacher is to serve all targets and they leave it no source.
    """
    if not reuse:
        return lambda target: Case(targets=(target,), system="teacher", settings=settings)
    if not backgrounds(collection, targets):
        raise ValueError(
            f"one teacher for all targets learns from the other sources, and {collection.name} "
            f"has none besides {', '.join(targets)}; name fewer targets"
        )
    shared = Case(targets=tuple(targets), system="teacher", settings=settings)
    return lambda _target: shared


def comparison(
    targets: Sequence[str],
    systems: Sequence[System],
    settings: BenchmarkSettings,
    teacher_of: TeacherOf,
    *,
    seeds: Sequence[int],
    widths: Sequence[int] = (),
) -> list[Case]:
    """List the cases of each seed, target and system; students have all ``widths``, if any.

    Raises:
        SettingsError: If the student's encoder does not allow a width.
    """
    cases: dict[Case, None] = {}
    for seed in seeds:
        seeded = settings.seeded(seed)
        sized = [with_width(seeded.retrain, width) for width in widths]
        for target in targets:
            students = [
                _case(target, "student", own, teacher=teacher_of(target))
                for own in sized or [seeded.retrain]
            ]
            by_system: dict[System, list[Case]] = {
                "plain": [_case(target, "plain", seeded.plain)],
                "alone": [_case(target, "alone", seeded.alone)],
                "joint": [_case(target, "joint", seeded.joint)],
                "teacher": [teacher_of(target)],
                "student": students,
            }
            for system in (x for x in SYSTEMS if x in systems):
                cases |= dict.fromkeys(by_system[system])
    return list(cases)


def ablation(
    collection: Collection,
    targets: Sequence[str],
    settings: BenchmarkSettings,
    teacher_of: TeacherOf,
    *,
    seeds: Sequence[int],
    variants: Sequence[str] | None = None,
) -> list[Case]:
    """List the variants of a student, by target and seed.

    A k-hop student learns from at most twice as many facts as an induced one.

    Raises:
        ValueError: If a variant is unknown.
    """
    cases = []
    for target in targets:
        teacher = teacher_of(target)
        own = len(collection.graphs[target].train)
        induced = _n_induced(collection, target, backgrounds(collection, teacher.targets))
        for seed in seeds:
            retrain = settings.seeded(seed).retrain
            known = student_variants(retrain, budget=own + 2 * induced)
            if unknown := set(variants or ()) - known.keys():
                raise ValueError(
                    f"no variant is called {', '.join(sorted(unknown))}; there are "
                    + ", ".join(known)
                )
            cases += [
                _case(target, "student", chosen, variant=variant, teacher=teacher)
                for variant, chosen in known.items()
                if variants is None or variant in variants
            ]
    return cases


def link_sweep(
    targets: Sequence[str],
    settings: BenchmarkSettings,
    teacher_of: TeacherOf,
    *,
    shares: Sequence[float],
    seeds: Sequence[int],
) -> list[Case]:
    """List joint model, student, and student without distillation at shares of the links.

    The teacher is the same at every share, since it never uses the target's links.

    Raises:
        ValueError: If a share is not above 0 and at most 1.
    """
    if wrong := [share for share in shares if not 0 < share <= 1]:
        raise ValueError(f"a share of links lies above 0 and at most at 1, not at {wrong[0]:g}")
    cases: dict[Case, None] = {}
    for target in targets:
        for seed in seeds:
            seeded = settings.seeded(seed)
            none = student_variants(seeded.retrain, budget=0)["none"]
            for share in shares:
                more = {"share": share, "teacher": teacher_of(target)}
                for case in (
                    _case(target, "joint", seeded.joint, share=share),
                    _case(target, "student", seeded.retrain, **more),
                    _case(target, "student", none, variant="none", **more),
                ):
                    cases[case] = None
    return list(cases)


def _case(target: str, system: System, settings: TrainSettings, **more: Any) -> Case:
    return Case(targets=(target,), system=system, settings=settings, **more)


def _n_induced(collection: Collection, target: str, sources: Sequence[str]) -> int:
    """Return the number of background facts with both ends linked to the target."""
    if not sources:
        return 0
    background = join([collection.graphs[name] for name in sources], collection.links)
    own = collection.graphs[target]
    return len(connect(own, collection.links, background).graph.triples) - len(own.train)
