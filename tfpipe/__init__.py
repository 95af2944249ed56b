"""tfpipe: train, evaluate, export and serve text models with TensorFlow."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before TensorFlow and transformers are imported: TFBert lives on Keras 2 (tf-keras); transformers
# would import torch where it finds it, which can end the process (two copies of LLVM) and takes
# seconds. TensorFlow's start-up notes are silenced where they arise; its wheel also reports an
# error on every machine that has no GPU, which is only news where there is one.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("USE_TF", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if Path("/proc/driver/nvidia").exists() else "3")

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
