"""The settings of ``align``, ``audit`` and ``graft``."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kgraft.settings import RelationSettings, RetrainSettings
from kgraft.toml_settings import Settings


class LabelSettings(Settings):
    """The evidence of names and literals."""

    use: bool = True
    """Use names, labels and literals; without them, structure alone decides."""
    same: float = Field(0.95, gt=0, lt=1)
    """Probability that two entities with the same label are the same."""
    similar: float = Field(0.8, gt=0, lt=1)
    """The same for labels equal but for a remark in brackets, and names with the same ending."""
    value: float = Field(0.9, gt=0, lt=1)
    """The same for entities that share an attribute's value which no other entity has."""
    identifier: float = Field(0.99, gt=0, lt=1)
    """The same for values of attributes whose values are all different, as identifiers are."""
    min_similarity: float = Field(0.65, ge=0, le=1)
    """Minimum similarity of labels with different spellings, from 0 to 1."""
    midpoint: float = Field(0.85, gt=0, lt=1)
    """Similarity at which the probability of such a pair is one half."""
    slope: float = Field(12.0, gt=0)
    """Slope of the logistic curve from similarity to probability."""
    unlike: float = Field(0.5, ge=0)
    """Structural evidence that unlike labels cancel."""
    trigrams: int = Field(8, ge=1)
    """Number of a label's rarest trigrams by which similar labels are looked up."""
    max_entities: int = Field(50, ge=1)
    """Maximum number of one graph's entities with a key or trigram, for it to be used."""


class StructureSettings(Settings):
    """The evidence of neighbours."""

    max_entities: int = Field(50, ge=1)
    """Maximum number of one graph's entities with a common neighbour, for it to be used."""
    pseudo_count: float = Field(3.0, gt=0)
    """Unseen entities assumed to share a neighbour, scaled by the relation's functionality."""
    rounds: int = Field(10, ge=1)
    """Rounds of matching, from the surest matches to the least sure."""


class VectorSettings(Settings):
    """The evidence of vectors, trained with the links found so far."""

    rounds: int = Field(0, ge=0)
    """Rounds of training vectors and matching again with their evidence; 0 trains none."""
    width: int = Field(200, ge=2)
    """Real numbers in a vector."""
    epochs: int = Field(20, ge=1)
    """Passes over the facts."""
    mutual: float = Field(0.4, gt=0, lt=1)
    """Probability that two entities are the same whose vectors are mutually nearest."""
    near: float = Field(0.1, gt=0, lt=1)
    """The same where only one is the other's nearest."""
    seed: int = 0
    """Seed of all random draws of the training."""


class AcceptSettings(Settings):
    """The choice of matches that become links."""

    threshold: float = Field(0.5, gt=0, lt=1)
    """Minimum confidence of a link."""
    first_threshold: float = Field(0.95, gt=0, lt=1)
    """The same in the first round; it falls linearly to the threshold."""
    no_partner_odds: float = Field(1.0, gt=0)
    """Prior odds that an entity has no partner."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.threshold > self.first_threshold:
            raise ValueError(
                f"threshold {self.threshold} is above first_threshold {self.first_threshold}"
            )
        return self


class AlignSettings(Settings):
    """The settings of ``align`` and ``audit``."""

    labels: LabelSettings = LabelSettings()
    """The evidence of names and literals."""
    structure: StructureSettings = StructureSettings()
    """The evidence of neighbours."""
    relations: RelationSettings = RelationSettings()
    """The matching of relations."""
    vectors: VectorSettings = VectorSettings()
    """The evidence of vectors."""
    accept: AcceptSettings = AcceptSettings()
    """The choice of links."""


class GraftSettings(RetrainSettings):
    """The settings of ``graft``: those of ``retrain``, and of the search for links."""

    align: AlignSettings = AlignSettings()
    """The search for links."""
