"""A model trained by several workers, whose entity table is no longer in the memory of any."""

from __future__ import annotations

from safetensors.torch import save_file

from kgraft.model.kge import KgeModel
from kgraft.model.stored_vectors import InterleavedRows, StoredKge
from kgraft.model.tensor_file import read_tensor_file
from kgraft.model.weight_files import TABLE, check_finite
from kgraft.pipeline.run import Run
from kgraft.system.outputs import write_atomically


def stored_model(model: KgeModel, run: Run) -> KgeModel:
    """Write each worker's rows of the entity table to a file, and return the whole model.

    All workers do this at the same time. The model reads rows from the files as they are needed.

    Args:
        model: The model with this worker's entities, on the CPU.
        run: Its workers, and the directory that the files are in; a model of one alone is returned
            as it is.
    """
    workers, directory = run.workers, run.directory
    if workers.count == 1 or directory is None:
        return model
    names = (f"{TABLE}-{x + 1}-of-{workers.count}.safetensors" for x in range(workers.count))
    files = [directory / name for name in names]
    with write_atomically(files[workers.number], apart=True) as temporary:
        save_file({TABLE: model.entities.contiguous()}, temporary)
    workers.barrier()
    if workers.number:
        return model
    parts = [
        read_tensor_file(file, leave=TABLE.__eq__, looked_at=check_finite).stored[TABLE]
        for file in files
    ]
    stored = InterleavedRows(parts)
    return StoredKge(model.settings, stored, model.relations, model.encoder)
