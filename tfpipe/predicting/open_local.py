"""Opening of a run or an export, with the imports that it needs and no others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tfpipe.imports import without_packages
from tfpipe.locations import locate_model
from tfpipe.process import quick_imports

if TYPE_CHECKING:
    from tfpipe.predicting.predictor import Predictor

logger = logging.getLogger(__name__)


def open_local(folder: str) -> Predictor:
    """Open the model of a run, an export, or the newest version of one.

    Raises:
        UserError: The folder has no such model, or it cannot be opened.
    """
    place = locate_model(folder)
    logger.info("model: the %s %s", place.kind, place.folder)
    # TensorFlow imports Keras where it finds it, but exports do not need it.
    hidden = ("keras", "tf_keras") if place.kind == "export" else ()
    with quick_imports(), without_packages(*hidden):
        from tfpipe.predicting.local import open_export, open_run_model
    return (open_run_model if place.kind == "run" else open_export)(place.folder)
