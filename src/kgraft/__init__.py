"""Graft the knowledge of linked knowledge graphs onto your own.

The whole way, in five lines::

    import kgraft

    collection = kgraft.read_collection("world")
    teacher = kgraft.pretrain(collection)
    student = kgraft.retrain(collection, teacher)
    print(kgraft.evaluate(student, collection).mrr())
"""

from importlib.metadata import version

from kgraft.alignment.align import Alignment, align, with_links
from kgraft.alignment.audit import Audit, audit
from kgraft.alignment.score import AlignmentScore, evaluate_alignment
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.write import write_alignment, write_audit
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
from kgraft.exporting.export import Exported, export
from kgraft.exporting.pykeen import to_pykeen
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.explain import Explainer, explain
from kgraft.inference.explanation import Explanation
from kgraft.inference.facts import StatedFact, Statement
from kgraft.inference.predict import Prediction, Predictor, Query, predict
from kgraft.inference.rules import ReadableRule, rules
from kgraft.inference.similar import Neighbour, similar
from kgraft.io.interchange import from_arrays, from_frame, from_pykeen
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.read_links import links_by_name, read_links
from kgraft.io.source import GraphSource, Split
from kgraft.io.write_graph import write_graph
from kgraft.linking.collection import Collection, collect
from kgraft.linking.inspection import Inspection, inspect
from kgraft.linking.joint_graph import JointGraph, join
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.linking.links import Links
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.estimate import Estimate, estimate
from kgraft.pipeline.pretrain import pretrain, pretraining_run
from kgraft.pipeline.retrain import retrain, retraining_run
from kgraft.pipeline.run import Run, RunOptions
from kgraft.pipeline.train import train, training_run
from kgraft.reporting.model_report import report
from kgraft.settings import (
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    RuleSettings,
    SubgraphSettings,
    TrainingSettings,
    TrainSettings,
    read_settings,
)
from kgraft_experiments.benchmark.report import benchmark_report
from kgraft_experiments.benchmark.run import ablate, benchmark, sweep_links
from kgraft_experiments.benchmark.settings import BenchmarkSettings
from kgraft_experiments.synthesis.rules import PlantedRule
from kgraft_experiments.synthesis.settings import (
    BackgroundSettings,
    LinkSettings,
    SynthSettings,
    TargetSettings,
    WorldSettings,
)
from kgraft_experiments.synthesis.synthesize import Synthetic, synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

__version__ = version("kgraft")

__all__ = [
    "AlignSettings",
    "Alignment",
    "AlignmentScore",
    "Audit",
    "BackgroundSettings",
    "BenchmarkSettings",
    "Collection",
    "DataError",
    "DistillationSettings",
    "Estimate",
    "Evaluation",
    "Explainer",
    "Explanation",
    "Exported",
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
    "Neighbour",
    "PlantedRule",
    "Prediction",
    "Predictor",
    "Query",
    "ReadableRule",
    "RetrainSettings",
    "RuleSettings",
    "Run",
    "RunOptions",
    "SettingsError",
    "Split",
    "StatedFact",
    "Statement",
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
    "WorldSettings",
    "ablate",
    "align",
    "audit",
    "benchmark",
    "benchmark_report",
    "collect",
    "connect",
    "estimate",
    "evaluate",
    "evaluate_alignment",
    "explain",
    "export",
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
    "report",
    "retrain",
    "retraining_run",
    "rules",
    "save_model",
    "similar",
    "sweep_links",
    "synthesize",
    "to_pykeen",
    "train",
    "training_run",
    "with_links",
    "write_alignment",
    "write_audit",
    "write_graph",
    "write_synthetic",
]
