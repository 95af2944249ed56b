"""The context of a training run: configuration, folder, devices and role of the process."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf
import tf_keras

from tfpipe.config import TrainConfig
from tfpipe.data.splits import SAMPLE
from tfpipe.process import shut_down_fully
from tfpipe.run_folder import Run, find_run, resumed_config
from tfpipe.training.cluster import Cluster
from tfpipe.training.strategy import find_cluster, make_strategy, serve

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunContext:
    """One training run in one process.

    Attributes:
        config: The configuration, as far as it is resolved so far.
        run: The run's folder.
        strategy: The distribution strategy.
        cluster: The processes that train together; None for a single process.
    """

    config: TrainConfig
    run: Run
    strategy: tf.distribute.Strategy
    cluster: Cluster | None = None

    @property
    def chief(self) -> bool:
        """Whether this process writes the run; all workers compute the same."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def restart_command(self) -> str:
        """The start of the command that resumes the run."""
        return self.cluster.launched_with if self.cluster else "python -m tfpipe.train"


def open_context(config: TrainConfig) -> RunContext:
    """Find the run's folder, seed all generators and open the devices; writes nothing.

    Does not return in a parameter server or its worker. Workers other than the chief log only
    warnings from here on.

    Raises:
        UserError: The folder is in use or has nothing to resume, or devices or processes are
            missing.
    """
    cluster = find_cluster(config)
    if cluster:
        shut_down_fully()
    if cluster and cluster.serves:
        serve(cluster)
    default_folder = f"runs/{config.task}-{time.strftime('%Y%m%d-%H%M%S')}"
    if cluster is None or cluster.is_chief or config.resume:
        run = find_run(config, default_folder)
    else:
        run = Run(Path(config.output or default_folder), written_here=False)
    if config.resume:
        config = resumed_config(run, config)
    config = replace(config, train=config.train or str(SAMPLE), output=str(run.folder))
    tf_keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy, sentence = make_strategy(
        config.strategy, config.devices, cluster, config.worker_timeout, config.tpu
    )
    logger.info("strategy: %s", sentence)
    context = RunContext(config, run, strategy, cluster)
    if not context.chief:
        logging.getLogger("tfpipe").setLevel(logging.WARNING)
    return context
