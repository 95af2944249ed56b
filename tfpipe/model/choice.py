"""The choice of a pretrained model by the letters of the texts, without TensorFlow."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tfpipe.data.examples import Examples
from tfpipe.data.scripts import share_beyond_english
from tfpipe.model import multilingual

logger = logging.getLogger(__name__)

AUTO, STARTER, MULTILINGUAL = "auto", "starter", "multilingual"
# English texts have up to 0.1 % of such letters, in names; German ones 2 %, Chinese ones 100 %.
MOST_OTHER_LETTERS = 0.02


@dataclass(frozen=True)
class ModelChoice:
    """The model that `auto` stands for.

    Attributes:
        name: The name of the model.
        reason: A clause that says why; empty where `--model` was not `auto`.
        missing: Whether the model that the texts need is not installed.
    """

    name: str
    reason: str = ""
    missing: bool = False

    def __str__(self) -> str:
        """The name and, in brackets, the reason."""
        return f"{self.name} ({self.reason})" if self.reason else self.name

    def log(self) -> None:
        """Log what was chosen and why."""
        if self.reason:
            level = logging.WARNING if self.missing else logging.INFO
            logger.log(level, "model: auto is %s", self)


def choose_model(name: str, train: Examples) -> ModelChoice:
    """Resolve `auto` by the letters of the texts.

    Args:
        name: A value of `--model`.
        train: The examples to train on.
    """
    if name != AUTO:
        return ModelChoice(name)
    share = share_beyond_english(train.texts, train.text_pairs or ())
    reason = f"{share:.1%} of the letters in train are not English ones"
    if share <= MOST_OTHER_LETTERS:
        return ModelChoice(STARTER, reason)
    if multilingual.is_installed():
        return ModelChoice(MULTILINGUAL, reason)
    advice = f"{MULTILINGUAL} would be better, but is not installed: {multilingual.INSTALL}"
    return ModelChoice(STARTER, f"{reason}; {advice}", missing=True)
