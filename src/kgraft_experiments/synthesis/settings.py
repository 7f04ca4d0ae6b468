"""What a synthetic collection is to be like."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WorldSettings(_Part):
    """The hidden world that all sources look at.

    Args:
        seed: Makes every draw; the same settings give the same collection.
        types: Classes of entities.
        relations: Relations, those that rules make included; at least three a type.
        cluster_size: Entities in a cluster of a type, about; small ones are easier to learn.
        degree_exponent: Exponent of the power law of degrees; a low one makes large hubs.
        rules: Whether uncertain rules are planted; what always holds (an exact inverse, symmetric
            relations) is there without them.
    """

    seed: int = Field(0, ge=0)
    types: int = Field(6, ge=2, le=64)
    relations: int = Field(30, ge=6, le=1024)
    cluster_size: int = Field(16, ge=2)
    degree_exponent: float = Field(2.1, ge=1.8, le=6)
    rules: bool = True

    @model_validator(mode="after")
    def _each_type_has_relations(self) -> Self:
        if self.relations < 3 * self.types:
            raise ValueError(
                f"{self.types} types need at least {3 * self.types} relations, not {self.relations}"
            )
        return self


class TargetSettings(_Part):
    """The graph that a student is for.

    Args:
        entities: Its entities; each has a fact to learn from.
        facts: Its facts, held-out ones included; at least one an entity.
        sees: About the share of the true facts among its entities that it states; what rules make
            out of the others makes it a little more or less.
        valid: Share of its facts to choose by.
        test: Share of its facts to measure by.
    """

    entities: int = Field(2_000, ge=24)
    facts: int = Field(10_000, ge=24)
    sees: float = Field(0.4, gt=0, le=1)
    valid: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _the_shares_fit(self) -> Self:
        if self.facts < self.entities:
            raise ValueError(f"{self.facts} facts are too few for {self.entities} entities")
        if self.valid + self.test >= 1:
            raise ValueError("valid and test together must leave facts to train on")
        return self


class BackgroundSettings(_Part):
    """The other sources.

    Args:
        sources: How many.
        facts: Facts of each. More of them add entities that the target does not have, and change
            nothing of the target, of its links, or of what is said among its entities.
        overlap: Share of the target's entities that each one has; every one is in some source.
        sees: Share of the true facts that the target does not state, among the target's entities
            which a source has, that the source states.
        shared: Share of the target's facts that one of the sources states too.
        valid: Share of each one's facts about entities of its own that are held out, to choose a
            teacher's best state by.
        vocabulary: ``shared``: all name relations alike; ``private``: each, and the target, by
            IRIs of its own, and no link says which are the same.
    """

    sources: int = Field(2, ge=1, le=100)
    facts: int = Field(30_000, ge=1)
    overlap: float = Field(0.8, ge=0, le=1)
    sees: float = Field(0.5, ge=0, le=1)
    shared: float = Field(0.4, ge=0, le=1)
    valid: float = Field(0.02, ge=0, le=0.5)
    vocabulary: Literal["shared", "private"] = "shared"


class LinkSettings(_Part):
    """The links, which change no graph.

    Args:
        linked: Share of the target's entities that are linked, to every source that has them;
            between two other sources, the same entities are linked.
        wrong: Share of the links of two sources that join unlike entities, of one type mostly.
            With any, all links are doubtful: wrong ones have lower confidences on average, and
            the two ranges overlap. With none, each confidence is 1.
    """

    linked: float = Field(0.8, ge=0, le=1)
    wrong: float = Field(0.0, ge=0, le=1)


class SynthSettings(_Part):
    """Everything that ``synthesize`` goes by."""

    world: WorldSettings = WorldSettings()
    target: TargetSettings = TargetSettings()
    background: BackgroundSettings = BackgroundSettings()
    links: LinkSettings = LinkSettings()

    @model_validator(mode="after")
    def _clusters_have_members(self) -> Self:
        if self.target.entities < 4 * self.world.types:
            raise ValueError(
                f"{self.world.types} types need at least {4 * self.world.types} entities in the "
                f"target, not {self.target.entities}"
            )
        return self
