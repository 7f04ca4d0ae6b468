"""The settings of each step: frozen, checked, and read from or written to TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kgraft.errors import SettingsError

EncoderName = Literal["complex", "gru", "rsn", "transformer"]
"""What turns a path into a query: ``kgraft.model.encoders`` and its neighbours say how."""


LONGEST_TOML = 1 << 22
"""Characters; its parser is slow, and nobody writes as much."""


class Settings(BaseModel):
    """Frozen and checked; of a part that is given in part, the rest keeps the whole's defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        usual = {name: cls.model_fields[name].default for name in given if name in cls.model_fields}
        parts = {
            name: _filled(default.model_dump(), given[name])
            for name, default in usual.items()
            # A kind of settings knows its own defaults.
            if isinstance(default, BaseModel) and default != type(default)()
        }
        return {**given, **parts}


def _filled(default: Any, given: Any) -> Any:
    """Return what is given, and in tables, however deep, the defaults where nothing is."""
    if not (isinstance(default, Mapping) and isinstance(given, Mapping)):
        return given
    return {**default, **{name: _filled(default.get(name), x) for name, x in given.items()}}


Precision = Literal["float32", "bfloat16"]

OptimizerName = Literal["adagrad", "rowwise_adagrad", "adam"]
"""What moves the rows of the tables: ``kgraft.training.optimizer`` has them."""


class ModelSettings(Settings):
    """Which model is trained.

    Args:
        encoder: What turns a path into a query vector.
        width: Real numbers in an entity vector; for ComplEx twice the number of complex ones.
        init_scale: Standard deviation of the first rows; by default 0.001 for ComplEx, whose
            products of small numbers leave the loss near the uniform one, and 0.1 for the others.
        tables: What the entities' rows are kept in, in memory and on disk; ``bfloat16`` takes half
            the room. Everything is calculated in ``float32``.
        layers: Layers of a GRU, RSN or Transformer.
        heads: Attention heads of a Transformer; they divide the width.
        dropout: Share of numbers dropped in a GRU, RSN or Transformer while it trains.
    """

    encoder: EncoderName = "complex"
    width: int = Field(200, ge=2)
    init_scale: float | None = Field(None, gt=0)
    tables: Precision = "float32"
    layers: int = Field(1, ge=1, le=100)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _the_width_fits(self) -> Self:
        if self.encoder == "complex" and self.width % 2:
            raise ValueError(f"ComplEx needs an even width, not {self.width}")
        if self.encoder == "transformer" and self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the width {self.width}")
        return self


class TrainingSettings(Settings):
    """How it is trained.

    Args:
        epochs: The most passes over the facts.
        min_steps: Where so many epochs have fewer steps, there are more of them: few facts take
            more passes.
        batch_size: Queries per step; each fact is two queries, one a direction.
        negatives: Entities drawn per step that all its queries share as wrong answers, besides
            the entities of the step's own facts.
        path_length: Facts in a training path. Above 1, a biased random walk extends each fact to a
            path, and every entity on it is predicted.
        precision: Of the factors of the step's large products; ``bfloat16`` is faster where the
            machine multiplies it in hardware, and slower elsewhere.
        optimizer: What moves the rows of the tables. ``rowwise_adagrad`` keeps one number a row
            where ``adagrad`` keeps one for each number, for tables that fill the memory; ``adam``
            keeps two, and takes smaller steps, as 0.001.
        learning_rate: Step size, for the rows of the tables and the teacher's maps.
        dense_learning_rate: Adam's step size, for an encoder's own weights.
        final_rate: What is left of both learning rates at the end; they fall by the same amount
            each epoch, and 1 keeps them as they are.
        regularization: Weight of the N3 norm.
        logq_correction: Exponent of the logQ correction for sampling bias (0 off, 1 full; Bengio
            and Senécal, 2008): frequent entities are sampled as candidates more often.
        link_confidence: Exponent of the link confidence in a fact's weight; 0 weighs all facts
            alike.
        validate_every: Epochs between two looks at the validation facts.
        validation_queries: The most validation facts to rank at a look, a fixed sample.
        patience: Looks without improvement after which training stops.
        seed: Makes every draw; the same seed gives the same numbers.
    """

    epochs: int = Field(30, ge=1)
    min_steps: int = Field(0, ge=0)
    batch_size: int = Field(512, ge=1)
    negatives: int = Field(512, ge=1)
    path_length: int = Field(1, ge=1, le=64)
    precision: Precision = "float32"
    optimizer: OptimizerName = "adagrad"
    learning_rate: float = Field(0.1, gt=0, le=1e6)
    dense_learning_rate: float = Field(1e-3, gt=0, le=1e6)
    final_rate: float = Field(1.0, gt=0, le=1)
    regularization: float = Field(0.05, ge=0)
    logq_correction: float = Field(0.5, ge=0, le=2)
    link_confidence: float = Field(3.0, ge=0)
    validate_every: int = Field(2, ge=1)
    validation_queries: int = Field(2000, ge=1)
    patience: int = Field(3, ge=1)
    seed: int = Field(0, ge=0)

    def epochs_of(self, n_steps: int) -> int:
        """Return the most epochs, of so many steps each."""
        return max(self.epochs, -(-self.min_steps // n_steps))


class SubgraphSettings(Settings):
    """Which background facts a student learns from, besides the target's own.

    Args:
        mode: ``induced`` takes facts with both ends linked, ``incident`` with at least one,
            ``k_hop`` walks on from there. Rules may go by all of them.
        vectors: Which entities have vectors, which learn from the facts between them: those of the
            ``target``, or ``all`` of the subgraph.
        hops: How far ``k_hop`` walks.
        budget: The most background facts; ``None`` takes all.
        reliability: Exponent of the source reliability in a background fact's weight; 0 weighs all
            facts alike.
    """

    mode: Literal["induced", "incident", "k_hop"] = "incident"
    vectors: Literal["target", "all"] = "target"
    hops: int = Field(2, ge=1)
    budget: int | None = Field(None, ge=0)
    reliability: float = Field(1.0, ge=0)


class DistillationSettings(Settings):
    """How much the student imitates the teacher; a weight of 0 switches a level off.

    Args:
        feature: Weight of the level of entity vectors.
        feature_form: ``cosine`` draws each vector to the teacher's; ``infonce`` asks that it be
            told from those of other entities.
        relation_vectors: Whether the feature level is about relations too, between encoders of one
            kind.
        network: Weight of the level of query vectors and their similarities.
        prediction: Weight of the level of answer distributions.
        temperature: Softens both distributions of the prediction level.
        queries: The most queries of a step that the network and the prediction level look at, and
            the most linked entities that the feature level does: a sample, so that the levels cost
            no more than what they are worth.
        every: Apply distillation every N steps, scaled by N.
        half_weight_facts: Number of teacher facts about an entity at which its row gets half
            weight; 0 weighs all rows alike.
        schedule: ``constant`` weights, or such that ``fade`` to 0 by the last epoch.
        warm_start: Whether linked rows start from the teacher's.
    """

    feature: float = Field(1.0, ge=0)
    feature_form: Literal["cosine", "infonce"] = "cosine"
    relation_vectors: bool = False
    network: float = Field(0.1, ge=0)
    prediction: float = Field(0.03, ge=0)
    temperature: float = Field(2.0, gt=0)
    queries: int = Field(64, ge=1)
    every: int = Field(2, ge=1)
    half_weight_facts: float = Field(0.0, ge=0)
    schedule: Literal["constant", "fade"] = "constant"
    warm_start: bool = True


class RuleSettings(Settings):
    """How rules are mined, and how much they teach.

    Args:
        longest: Relations in the longest path; 0 mines no rules.
        support: Different facts that a rule has to explain.
        confidence: The least share of a rule's answers that have to be right.
        samples: The most edges of an entity that are looked at, sampled at hubs; for paths of three
            relations a third of it.
        facts_per_relation: The most facts of a relation, in either direction, to mine from.
        seconds: After so many no further facts are mined from, so that rules are fewer, their
            confidence is a lower bound, and both depend on the machine; ``None`` sets no limit.
        pseudo_fact_rate: Probability that an epoch includes a pseudo-fact of confidence 1; 0 trains
            on stated facts only.
        answered_rate: Factor on that probability where the head and relation have a stated answer:
            rules are right less often there.
    """

    longest: int = Field(3, ge=0, le=3)
    support: int = Field(2, ge=1)
    confidence: float = Field(0.01, gt=0, le=1)
    samples: int = Field(100, ge=1)
    facts_per_relation: int = Field(20_000, ge=1)
    seconds: float | None = Field(None, gt=0)
    pseudo_fact_rate: float = Field(1.0, ge=0, le=1)
    answered_rate: float = Field(0.1, ge=0, le=1)

    @property
    def teaches(self) -> bool:
        """Whether any rule teaches."""
        return bool(self.longest and self.pseudo_fact_rate)


class PriorSettings(Settings):
    """The per-relation answer-frequency prior, fitted after training and added to the score.

    Args:
        rank: Numbers it adds to each entity's and relation's row; 0 fits none. It is fitted
            together with the rules' ensemble, so a model without rules has none.
    """

    rank: int = Field(32, ge=0)


class TrainSettings(Settings):
    """Everything that ``train`` and ``pretrain`` go by; without a target there are no rules."""

    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    rules: RuleSettings = RuleSettings(longest=0)
    prior: PriorSettings = PriorSettings()


UPDATE: Mapping[str, Any] = {"epochs": 2, "min_steps": 200, "validation_queries": 500}
"""What a student that goes on from an earlier one has of its own: a fraction of the training, and
of the validation facts that the mixture of vectors and rules is fitted on."""


def for_narrower(training: TrainingSettings, times: float) -> TrainingSettings:
    """Return settings for a model that is so many ``times`` narrower, at least 1.

    The same step on fewer numbers moves a score less, and what is narrow takes more passes to fit
    as much as it can.
    """
    changes = {
        "learning_rate": round(training.learning_rate * times, 4),
        "epochs": round(training.epochs * times**0.5),
    }
    return training.model_copy(update=changes)


class RetrainSettings(TrainSettings):
    """Everything that ``retrain`` goes by.

    A student starts ahead and takes fewer epochs, and rules give it more to learn from than its
    facts, so that it may fit them more closely. Where a student is given a narrower model than the
    default one, its default training is ``for_narrower``.
    """

    training: TrainingSettings = TrainingSettings(
        epochs=8,
        min_steps=1200,
        final_rate=0.1,
        regularization=0.03,
        validation_queries=4000,
        patience=4,
    )
    subgraph: SubgraphSettings = SubgraphSettings()
    distillation: DistillationSettings = DistillationSettings()
    rules: RuleSettings = RuleSettings()

    @model_validator(mode="before")
    @classmethod
    def _suit_the_width(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        model, training = (given.get(part, {}) for part in ("model", "training"))
        usual = cls.model_fields["model"].default.width
        try:
            width = float(model["width"] if isinstance(model, Mapping) else model.width)
        except (AttributeError, KeyError, TypeError, ValueError):  # none given, or none allowed
            return given
        if not (isinstance(training, Mapping) and 0 < width < usual):
            return given
        suited = for_narrower(cls.model_fields["training"].default, usual / width)
        return {**given, "training": {**suited.model_dump(), **training}}

    def for_update(self) -> RetrainSettings:
        """Return settings for a student that goes on from one that these have made.

        It knows nearly all already, so that a few epochs do.
        """
        return self.model_copy(update={"training": self.training.model_copy(update=UPDATE)})


S = TypeVar("S", bound=BaseModel)


def read_settings(
    kind: type[S],
    path: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    *,
    base: S | None = None,
) -> S:
    """Read settings from a TOML file of one table a part, and change some of them.

    Args:
        kind: Which settings.
        path: The file; without it there are changes only.
        changes: Values by dotted key, as ``{"training.epochs": 5}``; they win over the file.
        base: What holds where neither says otherwise; by default the kind's defaults.

    Raises:
        SettingsError: If the file cannot be read, or a key is unknown or a value is not allowed;
            the message names the key by its full path.
    """
    where = f"{path}: " if path is not None else ""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = parse_toml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{where}settings cannot be read: {error}") from error
    for key, value in (changes or {}).items():
        part, _, name = key.partition(".")
        table = values.setdefault(part, {})
        if not name or not isinstance(table, dict):
            raise SettingsError(
                f"{where}{key!r} is no setting; write PART.NAME, as training.epochs"
            )
        table[name] = value
    try:
        return kind.model_validate(values if base is None else _filled(base.model_dump(), values))
    except ValidationError as error:
        raise SettingsError(where + explain(error)) from error


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: If it is not well-formed, or longer or nested deeper than people write it.
    """
    if len(text) > LONGEST_TOML:
        raise ValueError(f"longer than {LONGEST_TOML:,} characters")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def explain(error: ValidationError) -> str:
    """Return what is wrong with which setting, one phrase for each."""
    found = []
    for problem in error.errors():
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            found.append(f"{key}: there is no such setting")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found.append(f"{key}: {message}" if key else message)
    return "; ".join(found)


def as_toml(settings: BaseModel) -> str:
    """Write settings as TOML; a setting that is ``None`` is left out."""
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))
