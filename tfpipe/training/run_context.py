"""The context of a training run: configuration, folder, devices and role of the process."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import tensorflow as tf
import tf_keras

from tfpipe.config import TrainConfig
from tfpipe.data.changes.augment import Augmentation
from tfpipe.process import shut_down_fully
from tfpipe.run_folder import Run
from tfpipe.training.cluster import Cluster
from tfpipe.training.preparation import Preparation
from tfpipe.training.strategy import make_strategy, serve

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunContext:
    """One training run in one process.

    Attributes:
        config: The configuration, as far as it is resolved so far.
        run: The run's folder.
        strategy: The distribution strategy.
        cluster: The processes that train together; None for a single process.
        augmentation: Changes the training texts of an epoch; None where they stay.
    """

    config: TrainConfig
    run: Run
    strategy: tf.distribute.Strategy
    cluster: Cluster | None = None
    augmentation: Augmentation | None = None

    @property
    def chief(self) -> bool:
        """Whether this process writes the run; all workers compute the same."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def restart_command(self) -> str:
        """The start of the command that resumes the run."""
        return self.cluster.launched_with if self.cluster else "python -m tfpipe.train"


def open_context(prepared: Preparation) -> RunContext:
    """Seed all generators and open the devices; writes nothing.

    Does not return in a parameter server or its worker. Workers other than the chief log only
    warnings from here on.

    Raises:
        UserError: Devices or processes are missing.
    """
    config, cluster = prepared.config, prepared.cluster
    if cluster:
        shut_down_fully()
    if cluster and cluster.serves:
        serve(cluster)
    tf_keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy, sentence = make_strategy(
        config.strategy, config.devices, cluster, config.worker_timeout, config.tpu
    )
    logger.info("strategy: %s", sentence)
    context = RunContext(config, prepared.run, strategy, cluster, prepared.augmentation)
    if not context.chief:
        logging.getLogger("tfpipe").setLevel(logging.WARNING)
    return context
