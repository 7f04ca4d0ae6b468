"""Graft the knowledge of linked knowledge graphs onto your own.

The whole way, in five lines::

    import kgraft

    collection = kgraft.read_collection("world")
    teacher = kgraft.pretrain(collection)
    student = kgraft.retrain(collection, teacher)
    print(kgraft.evaluate(student, collection).mrr())
"""

from importlib.metadata import version

from kgraft.benchmark.run import ablate, benchmark, sweep_links
from kgraft.benchmark.settings import BenchmarkSettings
from kgraft.config import (
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    RuleSettings,
    SubgraphSettings,
    TrainingSettings,
    TrainSettings,
    read_settings,
)
from kgraft.errors import (
    DataError,
    KgraftError,
    KgraftWarning,
    ModelDirectoryError,
    SettingsError,
    TrainingError,
    UnknownNameError,
)
from kgraft.evaluation.evaluate import Evaluation, evaluate
from kgraft.graph.interchange import from_arrays, from_frame, from_pykeen
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.read import read_graph
from kgraft.graph.source import GraphSource, Split
from kgraft.graph.vocabulary import Vocabulary
from kgraft.graph.write import write_graph
from kgraft.inference.predict import Prediction, predict
from kgraft.inference.rules import ReadableRule, StatedFact, rules
from kgraft.linking.collection import Collection, collect
from kgraft.linking.inspect import Inspection, inspect
from kgraft.linking.joint import JointGraph, join
from kgraft.linking.links import Links
from kgraft.linking.read_collection import read_collection
from kgraft.linking.read_links import links_by_name, read_links
from kgraft.linking.subgraph import LinkedSubgraph, connect
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained import TrainedModel
from kgraft.synthesis.rules import PlantedRule
from kgraft.synthesis.settings import (
    BackgroundSettings,
    LinkSettings,
    SynthSettings,
    TargetSettings,
    WorldSettings,
)
from kgraft.synthesis.synthesize import Synthetic, synthesize
from kgraft.synthesis.write_synthetic import write_synthetic
from kgraft.training.estimate import Estimate, estimate
from kgraft.training.pretrain import pretrain, pretraining_run
from kgraft.training.retrain import retrain, retraining_run
from kgraft.training.run import Run, Watching
from kgraft.training.train import train, training_run

__version__ = version("kgraft")

__all__ = [
    "BackgroundSettings",
    "BenchmarkSettings",
    "Collection",
    "DataError",
    "DistillationSettings",
    "Estimate",
    "Evaluation",
    "GraphSource",
    "Inspection",
    "JointGraph",
    "KgraftError",
    "KgraftWarning",
    "KnowledgeGraph",
    "LinkSettings",
    "LinkedSubgraph",
    "Links",
    "ModelDirectoryError",
    "ModelSettings",
    "PlantedRule",
    "Prediction",
    "ReadableRule",
    "RetrainSettings",
    "RuleSettings",
    "Run",
    "SettingsError",
    "Split",
    "StatedFact",
    "SubgraphSettings",
    "SynthSettings",
    "Synthetic",
    "TargetSettings",
    "TrainSettings",
    "TrainedModel",
    "TrainingError",
    "TrainingSettings",
    "UnknownNameError",
    "Vocabulary",
    "Watching",
    "WorldSettings",
    "ablate",
    "benchmark",
    "collect",
    "connect",
    "estimate",
    "evaluate",
    "from_arrays",
    "from_frame",
    "from_pykeen",
    "inspect",
    "join",
    "links_by_name",
    "load_model",
    "predict",
    "pretrain",
    "pretraining_run",
    "read_collection",
    "read_graph",
    "read_links",
    "read_settings",
    "retrain",
    "retraining_run",
    "rules",
    "save_model",
    "sweep_links",
    "synthesize",
    "train",
    "training_run",
    "write_graph",
    "write_synthetic",
]
