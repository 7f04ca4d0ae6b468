"""Settings of a synthetic collection."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from kgraft.toml_settings import Settings


class WorldSettings(Settings):
    """The hidden world that all sources state parts of."""

    seed: int = Field(0, ge=0)
    """Seed of all random draws; the same settings give the same collection."""
    types: int = Field(6, ge=2, le=64)
    """Classes of entities."""
    relations: int = Field(30, ge=6, le=1024)
    """Relations, with those that rules make; at least three per type."""
    cluster_size: int = Field(16, ge=2)
    """Approximate number of entities in a cluster of a type; small ones are easier to learn."""
    degree_exponent: float = Field(2.1, ge=1.8, le=6)
    """Exponent of the power law of degrees; a low one makes large hubs."""
    functional: float | None = Field(None, ge=0, le=1)
    """Share of drawn relations that give a head one tail; by default about two fifths."""
    rules: bool = True
    """Plant uncertain rules; exact inverses and symmetric relations are there without them."""

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        if self.relations < 3 * self.types:
            raise ValueError(
                f"{self.types} types need at least {3 * self.types} relations, not {self.relations}"
            )
        return self


class TargetSettings(Settings):
    """The graph that a student is for."""

    entities: int = Field(2_000, ge=24)
    """Number of entities; each has a training fact."""
    facts: int = Field(10_000, ge=24)
    """Number of facts, held-out ones included; at least one per entity."""
    sees: float = Field(0.4, gt=0, le=1)
    """Approximate share of the true facts among its entities that it states."""
    valid: float = Field(0.1, ge=0, lt=1)
    """Share of its facts for validation."""
    test: float = Field(0.1, ge=0, lt=1)
    """Share of its facts for testing."""

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.facts < self.entities:
            raise ValueError(f"{self.facts} facts are too few for {self.entities} entities")
        if self.valid + self.test >= 1:
            raise ValueError("valid and test together must leave facts to train on")
        return self


class BackgroundSettings(Settings):
    """The other sources."""

    sources: int = Field(2, ge=1, le=100)
    """Number of sources."""
    facts: int = Field(30_000, ge=1)
    """Facts of each; more of them add entities that the target does not have."""
    overlap: float = Field(0.8, ge=0, le=1)
    """Share of the target's entities that each source has."""
    sees: float = Field(0.5, ge=0, le=1)
    """Share of the true facts, of those the target does not state, that a source states."""
    shared: float = Field(0.4, ge=0, le=1)
    """Share of the target's facts that one of the sources states too."""
    valid: float = Field(0.02, ge=0, le=0.5)
    """Share of each source's facts about its own entities that are for validation."""
    vocabulary: Literal["shared", "private"] = "shared"
    """Relation names: shared by all, or private IRIs of each source without links."""


class LinkSettings(Settings):
    """The links, which change no graph."""

    linked: float = Field(0.8, ge=0, le=1)
    """Share of the target's entities that are linked to every source that has them."""
    wrong: float = Field(0.0, ge=0, le=1)
    """Share of wrong links; with any, all links get confidences, lower for wrong ones."""


class SynthSettings(Settings):
    """The settings of ``synth``."""

    world: WorldSettings = WorldSettings()
    """The hidden world."""
    target: TargetSettings = TargetSettings()
    """The graph that a student is for."""
    background: BackgroundSettings = BackgroundSettings()
    """The other sources."""
    links: LinkSettings = LinkSettings()
    """The links."""

    @model_validator(mode="after")
    def _check_clusters(self) -> Self:
        if self.target.entities < 4 * self.world.types:
            raise ValueError(
                f"{self.world.types} types need at least {4 * self.world.types} entities in the "
                f"target, not {self.target.entities}"
            )
        return self
