"""The settings of ``train``, ``pretrain`` and ``retrain``, and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from kgraft.toml_settings import Settings

EncoderName = Literal["complex", "gru", "rsn", "transformer"]
OptimizerName = Literal["adagrad", "rowwise_adagrad", "adam"]
Precision = Literal["float32", "bfloat16"]
StepPrecision = Literal["float32", "bfloat16", "auto"]

BASIC = (
    "model.width",
    "training.epochs",
    "training.batch_size",
    "training.learning_rate",
    "training.regularization",
    "training.seed",
)
"""The settings to begin with; all others are advanced."""


class ModelSettings(Settings):
    """The embedding model."""

    encoder: EncoderName = "complex"
    """Encoder of a path into a query vector."""
    width: int = Field(200, ge=2)
    """Real numbers in an entity vector; for ComplEx twice the number of complex ones."""
    init_scale: float | None = Field(None, gt=0)
    """Standard deviation of the initial rows; without it 0.001 for ComplEx, 0.1 for others."""
    tables: Precision = "float32"
    """Number format of the entity table; bfloat16 halves its memory."""
    layers: int = Field(1, ge=1, le=100)
    """Layers of a GRU, RSN or Transformer."""
    heads: int = Field(4, ge=1)
    """Attention heads of a Transformer; they divide the width."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate of a GRU, RSN or Transformer in training."""

    @model_validator(mode="after")
    def _check_width(self) -> Self:
        if self.encoder == "complex" and self.width % 2:
            raise ValueError(f"ComplEx needs an even width, not {self.width}")
        if self.encoder == "transformer" and self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the width {self.width}")
        return self


class TrainingSettings(Settings):
    """The training of the embeddings."""

    epochs: int = Field(30, ge=1)
    """Maximum number of passes over the facts."""
    min_steps: int = Field(0, ge=0)
    """Minimum number of steps of all epochs; small graphs get more epochs to reach it."""
    batch_size: int = Field(512, ge=1)
    """Queries per step; each fact is two queries, one per direction."""
    negatives: int = Field(512, ge=1)
    """Entities sampled per step as wrong answers, shared by all its queries."""
    path_length: int = Field(1, ge=1, le=64)
    """Facts in a training path; above 1, random walks extend each fact."""
    precision: StepPrecision = "float32"
    """Number format in a step's large products; auto is bfloat16 on a CPU made for it."""
    optimizer: OptimizerName = "adagrad"
    """Optimizer of the tables; rowwise_adagrad takes half the memory, adam a small rate."""
    learning_rate: float = Field(0.1, gt=0, le=1e6)
    """Step size of the tables."""
    dense_learning_rate: float = Field(1e-3, gt=0, le=1e6)
    """Step size of an encoder's own weights, by Adam."""
    final_rate: float = Field(1.0, gt=0, le=1)
    """Factor on both step sizes in the last epoch; they fall linearly to it."""
    regularization: float = Field(0.05, ge=0)
    """Weight of the N3 norm."""
    logq_correction: float = Field(0.5, ge=0, le=2)
    """Exponent of the logQ correction for sampling bias (0 off, 1 full)."""
    link_confidence: float = Field(3.0, ge=0)
    """Exponent of the link confidence in a fact's weight; 0 weighs all facts alike."""
    validate_every: int = Field(2, ge=1)
    """Epochs between two validations."""
    validation_queries: int = Field(2000, ge=1)
    """Maximum number of validation facts to rank, a fixed sample."""
    patience: int = Field(3, ge=1)
    """Validations without improvement after which training stops."""
    seed: int = Field(0, ge=0)
    """Seed of all random draws."""

    def epochs_of(self, n_steps: int) -> int:
        """Return the maximum number of epochs of ``n_steps`` steps each."""
        return max(self.epochs, -(-self.min_steps // n_steps))


class SubgraphSettings(Settings):
    """The background facts that a student learns from, besides the target's own."""

    mode: Literal["induced", "incident", "k_hop"] = "incident"
    """Background facts: both ends linked, at least one, or within some hops of one."""
    vectors: Literal["target", "all"] = "target"
    """Entities with vectors: the target's, or all of the subgraph; rules use all of it."""
    hops: int = Field(2, ge=1)
    """Hops of k_hop."""
    budget: int | None = Field(None, ge=0)
    """Maximum number of background facts; without it all are taken."""
    reliability: float = Field(1.0, ge=0)
    """Exponent of the source reliability in a background fact's weight; 0 weighs all alike."""


class DistillationSettings(Settings):
    """The levels on which a student imitates the teacher; a weight of 0 switches one off."""

    feature: float = Field(1.0, ge=0)
    """Weight of the feature level: entity vectors."""
    feature_form: Literal["cosine", "infonce"] = "cosine"
    """Loss of the feature level: cosine distance, or contrast with other entities."""
    relation_vectors: bool = False
    """Include relation vectors in the feature level, if teacher and student share an encoder."""
    network: float = Field(0.1, ge=0)
    """Weight of the network level: query vectors and their similarities."""
    prediction: float = Field(0.03, ge=0)
    """Weight of the prediction level: answer distributions."""
    temperature: float = Field(2.0, gt=0)
    """Temperature of both distributions of the prediction level."""
    queries: int = Field(64, ge=1)
    """Maximum number of queries, and of linked entities, sampled per step for the levels."""
    every: int = Field(3, ge=1)
    """Apply distillation every N steps, scaled by N."""
    half_weight_facts: float = Field(0.0, ge=0)
    """Number of teacher facts at which an entity's row gets half weight; 0 weighs all alike."""
    schedule: Literal["constant", "fade"] = "constant"
    """Constant weights, or weights that fade to 0 by the last epoch."""
    warm_start: bool = True
    """Start linked rows from the teacher's."""
    readout: int = Field(200, ge=0, multiple_of=2)
    """Numbers added to each row by the read-out of a teacher without facts; 0 trains none."""


class RuleSettings(Settings):
    """The mining of rules, and the pseudo-facts that they infer for training."""

    longest: int = Field(3, ge=0, le=3)
    """Maximum number of relations in a rule's path; 0 mines no rules."""
    support: int = Field(2, ge=1)
    """Minimum number of different facts that a rule explains."""
    confidence: float = Field(0.01, gt=0, le=1)
    """Minimum share of a rule's answers that are right."""
    samples: int = Field(64, ge=1)
    """Maximum number of edges followed from an entity; a third of it in paths of three."""
    facts_per_relation: int = Field(20_000, ge=1)
    """Maximum number of a relation's facts, per direction, to mine from."""
    seconds: float | None = Field(None, gt=0)
    """Time limit of mining; with it, the rules found depend on the machine."""
    pseudo_fact_rate: float = Field(1.0, ge=0, le=1)
    """Probability that an epoch includes a pseudo-fact of confidence 1; 0 trains on none."""
    answered_rate: float = Field(0.1, ge=0, le=1)
    """Factor on that probability where head and relation have a stated answer."""


class PriorSettings(Settings):
    """The frequency prior: per-relation answer frequencies, added to the score after training."""

    rank: int = Field(32, ge=0)
    """Numbers it adds to each row; 0 fits none, and so does a model without rules."""


class FrozenTable(dict[str, float]):
    """A table of numbers that can be hashed, as settings are."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class FactSettings(Settings):
    """The probability of facts."""

    completeness: Annotated[dict[str, float], AfterValidator(FrozenTable)] = FrozenTable()
    """Shares of the true facts that the target states, by relation; ``*`` for all others."""

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        for relation, share in self.completeness.items():
            if not 0 <= share <= 1:
                raise ValueError(f"completeness of {relation!r} is from 0 to 1, not {share:g}")
        return self


class RelationSettings(Settings):
    """The matching of relations."""

    threshold: float = Field(0.6, gt=0, le=1)
    """Minimum share of either's facts that the other states, for two relations to be the same."""
    part_threshold: float = Field(0.8, gt=0, le=1)
    """Minimum share of a relation's facts that another states, for it to be part of that."""
    support: int = Field(5, ge=1)
    """Minimum number of linked pairs that both relations join."""
    margin: float = Field(1.0, ge=1)
    """Minimum ratio of the share of two relations that are the same to that of any rival."""
    caution: float = Field(0.0, ge=0)
    """Standard errors by which shares are lowered, so that few facts prove little."""


class MatchingSettings(RelationSettings):
    """The matching of relations with those of other sources, by what both state."""

    threshold: float = Field(0.1, gt=0, le=1)
    """Minimum share of either's facts that the other states, for two relations to be the same."""
    support: int = Field(2, ge=1)
    """Minimum number of linked pairs that both relations join."""
    margin: float = Field(1.2, ge=1)
    """Minimum ratio of the share of two relations that are the same to that of any rival."""
    caution: float = Field(1.64, ge=0)
    """Standard errors by which shares are lowered, so that few facts prove little."""
    use: bool = True
    """Make relations one that are the same, and restate facts of inverse and narrower ones."""


class AttributeSettings(Settings):
    """Facts from the target's attributes: numbers, dates, and texts that recur."""

    use: bool = True
    """Learn from them."""
    intervals: tuple[Annotated[int, Field(ge=2)], ...] = (8, 24)
    """Numbers of intervals, of equally many entities each, that numbers and dates are put into."""
    min_entities: int = Field(3, ge=1)
    """Minimum number of entities of a text, and of an attribute, to learn from."""


class TrainSettings(Settings):
    """The settings of ``train`` and ``pretrain``; without a target there are no rules."""

    model: ModelSettings = ModelSettings()
    """The embedding model."""
    training: TrainingSettings = TrainingSettings()
    """Its training."""
    rules: RuleSettings = RuleSettings(longest=0)
    """Rules; none by default."""
    prior: PriorSettings = PriorSettings()
    """The frequency prior."""
    facts: FactSettings = FactSettings()
    """The probability of facts."""
    relations: MatchingSettings = MatchingSettings()
    """Corresponding relations."""
    attributes: AttributeSettings = AttributeSettings()
    """Numbers, dates and texts of the target."""


UPDATE: Mapping[str, Any] = {"epochs": 2, "min_steps": 200, "validation_queries": 500}
"""Training settings of a student that goes on from an earlier one."""


DEFAULT_LINKED_SHARE = 0.9
"""Share of linked ends of facts, about that of DBP-5L, for which the defaults were chosen."""


def for_narrower(training: TrainingSettings, times: float) -> dict[str, Any]:
    """Return the training settings that change for a model ``times`` narrower, at least 1.

    The same step on fewer numbers moves a score less, and a narrow model takes more passes.
    """
    return {
        "learning_rate": round(training.learning_rate * times**0.5, 4),
        "epochs": round(training.epochs * times**0.9),
    }


class RetrainSettings(TrainSettings):
    """The settings of ``retrain``.

    Where a student is narrower than the default width, and its learning rate or epochs are not set,
    these follow the width (``for_narrower``). Where few of the target's entities are linked,
    epochs, learning rate and regularization follow that (``for_links``).
    """

    # A student starts ahead, so it takes few epochs, and rules give it more to learn from than its
    # facts, so it may fit them more closely.
    training: TrainingSettings = TrainingSettings(
        epochs=5,
        min_steps=700,
        precision="auto",
        learning_rate=0.15,
        final_rate=0.05,
        regularization=0.03,
        validation_queries=4000,
        patience=4,
    )
    """Its training."""
    subgraph: SubgraphSettings = SubgraphSettings()
    """The background facts."""
    distillation: DistillationSettings = DistillationSettings()
    """The imitation of the teacher."""
    rules: RuleSettings = RuleSettings()
    """Rules."""

    @classmethod
    def _defaults(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        defaults = super()._defaults(given)
        try:
            width = float(given["model"]["width"])
        except (KeyError, TypeError, ValueError):  # none given, or none allowed
            return defaults
        times = cls.model_fields["model"].default.width / width if width > 0 else 1.0
        if times > 1:
            training = cls.model_fields["training"].default
            own = training.model_dump(exclude_unset=True)
            defaults["training"] = {**own, **for_narrower(training, times)}
        return defaults

    @property
    def following_width(self) -> dict[str, Any]:
        """The training settings, by name, that follow the width of a narrower model."""
        if self.model.width >= RetrainSettings.model_fields["model"].default.width:
            return {}
        names = {"learning_rate", "epochs"} - self.training.model_fields_set
        return {name: getattr(self.training, name) for name in sorted(names)}

    def for_links(self, share: float) -> RetrainSettings:
        """Return the settings for a target of which a share is linked to the teacher.

        A linked entity starts ahead and any other from nothing. So the fewer are linked, the nearer
        epochs, learning rate and regularization, unless they are set, come to those of ``train``.

        Args:
            share: Share of the ends of the target's facts that are linked, from 0 to 1.
        """
        own, scratch = self.training, TrainSettings().training
        share = min(1.0, share / DEFAULT_LINKED_SHARE)
        most = max(own.epochs, scratch.epochs)
        changes = {
            "epochs": int(max(own.epochs, min(most, own.epochs / max(share, 1e-9) ** 1.5))),
            **{
                name: round(share * getattr(own, name) + (1 - share) * getattr(scratch, name), 4)
                for name in ("learning_rate", "regularization")
            },
        }
        given = own.model_fields_set if "training" in self.model_fields_set else ()
        changes = {name: value for name, value in changes.items() if name not in given}
        return self.model_copy(update={"training": changes})

    def for_alone(self, *, updating: bool = False) -> TrainSettings:
        """Return the settings of the same machinery without links, for a fair comparison.

        Model, rules and frequency prior are the student's, and so are the validation facts. A
        student's own way of training suits one that starts ahead, so training is that of ``train``,
        which does better from scratch, but for what differs from the defaults of ``retrain``.

        Args:
            updating: Whether these are settings of an update, whose few epochs are no choice.
        """
        default = RetrainSettings().training
        kept = {"validation_queries", "seed"}
        training = {
            name: value
            for name, value in self.training
            if name in kept
            or (value != getattr(default, name) and not (updating and name in UPDATE))
        }
        return TrainSettings.model_validate(
            {
                "model": self.model.model_dump(),
                "training": training,
                "rules": self.rules.model_dump(),
                "prior": self.prior.model_dump(),
                "attributes": self.attributes.model_dump(),
            }
        )

    def for_vectors(self) -> RetrainSettings:
        """Return the settings for a teacher without facts.

        Its student is trained as alone, from scratch, and has its read-out. To start from given
        vectors, or to imitate them, costs where they mean little, so both are off unless they are
        set.
        """
        off = {"feature": 0.0, "warm_start": False}
        given = self.distillation.model_fields_set
        return self.model_copy(
            update={
                "training": self.for_alone().training.model_dump(),
                "distillation": {name: x for name, x in off.items() if name not in given},
            }
        )

    def for_update(self) -> RetrainSettings:
        """Return the settings of a student that goes on from one with these settings."""
        return self.model_copy(update={"training": UPDATE})
