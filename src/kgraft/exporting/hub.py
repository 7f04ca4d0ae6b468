"""Model directories for the Hugging Face Hub, and their upload."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kgraft.errors import KgraftError, first_line
from kgraft.exporting.selection import Selection
from kgraft.model.directory import save_model
from kgraft.model.hub import SCHEME
from kgraft.system.extras import import_extra


def write_hub(selection: Selection, directory: Path) -> None:
    """Write the model directory, which has the Hub's layout."""
    save_model(selection.model, directory)


def send_to_hub(selection: Selection, address: str, *, overwrite: bool) -> None:
    """Upload a model directory in one commit, as the user logged in; a new repository is private.

    Args:
        selection: The model.
        address: ``hf://USER/NAME``.
        overwrite: Whether the repository may exist already.

    Raises:
        KgraftError: If the Hub cannot be reached, or refuses.
    """
    hub = import_extra("huggingface_hub", extra="hub")
    errors = import_extra("huggingface_hub.errors", extra="hub")
    name, api = address.removeprefix(SCHEME), hub.HfApi()
    try:
        api.create_repo(name, private=True, exist_ok=overwrite)
        with tempfile.TemporaryDirectory() as folder:
            save_model(selection.model, Path(folder))
            api.upload_folder(
                repo_id=name, folder_path=folder, commit_message="Upload a model of kgraft"
            )
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        reason = first_line(error)
        raise KgraftError(
            f"{address}: the Hub cannot be written to ({reason}). Check the name, hf://USER/NAME, "
            "and log in with hf auth login; an existing repository needs --overwrite."
        ) from error
