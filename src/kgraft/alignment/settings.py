"""How links are looked for, and how sure one has to be."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kgraft.settings import Settings


class LabelSettings(Settings):
    """What names and literals are worth.

    Args:
        use: Whether names, labels and literals are looked at; without, structure alone decides.
        same: Chance that two entities of one whole label are the same.
        similar: Chance of those whose labels agree but for a remark in brackets, or whose names
            end alike.
        value: Chance of those that share the value of an attribute which no other entity has.
        least: Least similarity of labels that are spelt differently, from 0 to 1.
        half: Similarity at which such a pair is the same with a chance of one half.
        slope: How fast that chance rises about there.
        unlike: How much evidence of structure is taken back where labels are not alike.
        keys: By how many of its rarest groups of three letters a label is looked up.
        common: A key of more entities of one graph is no key.
    """

    use: bool = True
    same: float = Field(0.95, gt=0, lt=1)
    similar: float = Field(0.8, gt=0, lt=1)
    value: float = Field(0.9, gt=0, lt=1)
    least: float = Field(0.65, ge=0, le=1)
    half: float = Field(0.85, gt=0, lt=1)
    slope: float = Field(12.0, gt=0)
    unlike: float = Field(0.5, ge=0)
    keys: int = Field(8, ge=1)
    common: int = Field(50, ge=1)


class StructureSettings(Settings):
    """What neighbours are worth.

    Args:
        common: What is said of more entities of one graph tells nothing.
        caution: Entities that are supposed to have something in common beside those that are seen
            to; the relation's functionality decides how many.
        rounds: Times that matching spreads, from the surest matches to the least sure.
    """

    common: int = Field(50, ge=1)
    caution: float = Field(3.0, gt=0)
    rounds: int = Field(10, ge=1)


class RelationSettings(Settings):
    """Which relations count as the same.

    Args:
        threshold: Least share of either's facts that the other states, for the same relations.
        part_threshold: Least share of a relation's facts for it to be part of another.
        support: Least number of linked pairs that both relations join.
    """

    threshold: float = Field(0.6, gt=0, le=1)
    part_threshold: float = Field(0.8, gt=0, le=1)
    support: int = Field(5, ge=1)


class VectorSettings(Settings):
    """What vectors, trained by the links that are found, are worth.

    Args:
        rounds: Times that vectors are trained by what is found, and matching begins anew with what
            they say; 0 trains none.
        width: Real numbers in a vector.
        epochs: Passes over the facts.
        mutual: Chance that two entities are the same whose vectors are nearest to each other.
        near: Chance of those of which only one is the other's nearest.
        seed: Makes all draws of the training.
    """

    rounds: int = Field(0, ge=0)
    width: int = Field(200, ge=2)
    epochs: int = Field(20, ge=1)
    mutual: float = Field(0.4, gt=0, lt=1)
    near: float = Field(0.1, gt=0, lt=1)
    seed: int = 0


class AcceptSettings(Settings):
    """Which matches become links.

    Args:
        threshold: Least confidence of a link.
        first: Least confidence in the first round; it falls to the threshold by the last.
        doubt: Weight of the possibility that an entity has no partner at all, as odds.
    """

    threshold: float = Field(0.5, gt=0, lt=1)
    first: float = Field(0.95, gt=0, lt=1)
    doubt: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _the_threshold_is_below_the_first(self) -> Self:
        if self.threshold > self.first:
            raise ValueError(f"threshold {self.threshold} is above first {self.first}")
        return self


class AlignSettings(Settings):
    """Everything that ``align`` goes by."""

    labels: LabelSettings = LabelSettings()
    structure: StructureSettings = StructureSettings()
    relations: RelationSettings = RelationSettings()
    vectors: VectorSettings = VectorSettings()
    accept: AcceptSettings = AcceptSettings()
