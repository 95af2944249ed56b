"""Label rules of the task `classify`: one name each, of which one may be for other texts."""

from __future__ import annotations

from tfpipe.config import TrainConfig
from tfpipe.data.examples import Examples
from tfpipe.data.labels import OneLabel, find_names, parsed_labels
from tfpipe.tasks.calibration.abstention_target import read_abstention_target


class Names(OneLabel):
    """Rules for labels that are one name each, and for the one that `--abstain` names."""

    @classmethod
    def refuse_settings(cls, train: Examples, config: TrainConfig) -> None:
        """Raise UserError for settings of training that do not fit the examples."""
        super().refuse_settings(train, config)
        read_abstention_target(config.abstain, sorted(find_names(parsed_labels(train, cls), cls)))
