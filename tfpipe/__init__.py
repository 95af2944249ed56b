"""tfpipe: train, evaluate, export and serve text models with TensorFlow."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

# First of all: its settings must be made before TensorFlow and transformers are imported.
from tfpipe import library_settings as library_settings

__version__ = "0.1.0"


def load(run_or_export: str | Path) -> Callable[..., list[Any]]:
    """Load the model of a run or an export, to answer texts in this process.

    For example, `load("runs/support")(["Where is my card?"])[0].label`.

    Args:
        run_or_export: Folder of a run, of an export, or of its versions (the highest is taken).

    Returns:
        The model, a function of the texts: see tfpipe.predicting.loaded_model.LoadedModel.

    Raises:
        UserError: The folder has no such model.
    """
    # Not at the top, so that `import tfpipe` takes no time; by its name, because other modules
    # import this one for the version.
    module = importlib.import_module("tfpipe.predicting.loaded_model")
    return module.load(run_or_export)
