"""The commands ``teacher import`` and ``teacher texts``: teachers of vectors and of texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kgraft.cli.console import ANEW, say, writing
from kgraft.cli.options import AllowOutsideOption, OutOption, OverwriteOption
from kgraft.errors import DataError, counted
from kgraft.system.messages import report_errors

if TYPE_CHECKING:
    from kgraft.linking.collection import Collection
    from kgraft.model.trained_model import TrainedModel

app = typer.Typer(
    help="Make a teacher of vectors or texts, without facts.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NamesOption = Annotated[
    Path | None,
    typer.Option(
        "--names",
        help="Names of the rows of .npy and .safetensors, one a line or with an id beside each; or "
        "the directory of entity_names_*.json of PyTorch-BigGraph.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Literal["auto", "text", "npy", "parquet", "safetensors", "pbg"],
    typer.Option("--format", help="Format of the vectors."),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="COLLECTION",
        help="Keep only vectors of names of this collection's target, or of this graph.",
        show_default=False,
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source", help="Name of the vectors in links; by default the file's.", show_default=False
    ),
]


@app.command(
    "import", epilog="Example: kgraft teacher import vectors.npy --names names.txt -o teacher"
)
def import_(
    vectors: Annotated[
        Path,
        typer.Argument(
            metavar="VECTORS",
            help="word2vec text, .npy, .parquet, .safetensors, or a directory of PyTorch-BigGraph.",
            show_default=False,
        ),
    ],
    directory: OutOption,
    names: NamesOption = None,
    format: FormatOption = "auto",  # noqa: A002 (the option's name)
    tensor: Annotated[
        str | None,
        typer.Option("--tensor", help="Tensor of a .safetensors file.", show_default=False),
    ] = None,
    source: SourceOption = None,
    only: OnlyOption = None,
    allow_outside: AllowOutsideOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a teacher of vectors that another tool has learned."""
    from kgraft.pipeline.vector_teacher import import_vectors

    with report_errors(ANEW), _written(directory, overwrite):
        known = None if only is None else _collection(only, allow_outside)
        teacher = import_vectors(
            vectors, names, source=source, format=format, tensor=tensor, only=known
        )
        _save(teacher, directory, overwrite)
        if known is not None:
            n = len(known.target_graph.entities)
            say(f"{teacher.graph.n_entities:,} of the {n:,} names of the graph have a vector")


@app.command("texts", epilog="Example: kgraft teacher texts texts.tsv -o teacher")
def texts(
    directory: OutOption,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="TEXTS",
            help="Table of names, and of texts about them in one column or more.",
            show_default=False,
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="COLLECTION",
            help="Take labels, names and literals of this collection's target, or of this graph.",
            show_default=False,
        ),
    ] = None,
    encoders: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            help="tfidf, words:FILE, sentence-transformers:MODEL or model2vec:MODEL; vectors of "
            "several are put side by side. By default tfidf.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[str, typer.Option("--source", help="Name of the texts in links.")] = "texts",
    allow_outside: AllowOutsideOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a teacher of labels and descriptions."""
    from kgraft.pipeline.vector_teacher import text_teacher

    with report_errors(ANEW), _written(directory, overwrite):
        if (file is None) == (of is None):
            raise DataError("there is one source of texts", remedy="Give TEXTS or --of COLLECTION")
        known = file if of is None else _collection(of, allow_outside)
        assert known is not None  # noqa: S101 (one of both is given)
        _save(
            text_teacher(known, encoders=encoders or ("tfidf",), source=source),
            directory,
            overwrite,
        )


def _collection(place: str, allow_outside: bool) -> Collection:
    """Read a collection for its target, which needs no links."""
    import warnings

    from kgraft.io.read_collection import read_collection

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*the target .* has no links")
        return read_collection(place, allow_outside=allow_outside)


@contextmanager
def _written(directory: Path, overwrite: bool) -> Iterator[None]:
    """Lock a directory, and check that it may be written to, before long work begins."""
    from kgraft.model.directory import check_free

    with writing(directory):
        check_free(directory, overwrite=overwrite)
        yield


def _save(teacher: TrainedModel, directory: Path, overwrite: bool) -> None:
    """Write a teacher, and say its size."""
    teacher.save(directory, overwrite=overwrite)
    vectors = counted(teacher.graph.n_entities, "vector")
    say(f"{vectors} of {teacher.kge.settings.width} numbers; the teacher is in {directory}")
