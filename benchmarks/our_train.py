"""Our trainer in benchmarks/train.py: the trainer of `tfpipe.train`, in slices of steps.

python our_train.py JOB.json
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "peers"))

from slices import CLIP_NORM, SLICED_EPOCHS, WARMUP, WEIGHT_DECAY, Job, answer_lines, read_job

# Before tf_keras: it sets up the environment of TensorFlow and transformers.
from tfpipe.config import TrainConfig  # isort: skip

import tf_keras

from tfpipe.data.encoded import EncodedDataset, encode
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.model.presets import open_model, start_pooler
from tfpipe.run_folder import Run
from tfpipe.tasks.classify.task import Classify
from tfpipe.training.allocator import keep_freed_memory
from tfpipe.training.epoch_data import EpochData
from tfpipe.training.precision import choose_precision
from tfpipe.training.run_context import RunContext
from tfpipe.training.strategy import make_strategy
from tfpipe.training.trainer import Trainer


class OurTrainer:
    """The Trainer of tfpipe.train, without report and checkpoints."""

    def __init__(self, job: Job):
        self.job = job
        self.config = TrainConfig(
            model=job.model,
            batch_size=job.batch_size,
            max_length=job.max_length,
            learning_rate=job.learning_rate,
            warmup=WARMUP,
            weight_decay=WEIGHT_DECAY,
            clip_norm=CLIP_NORM,
            precision=job.precision,
        )
        keep_freed_memory()
        self.strategy, _ = make_strategy("one_device", 0)
        self.parts = [read_examples(path, Columns()) for path in (job.train, job.dev)]
        self.task = Classify.from_labels(self.parts[0].labels or [])
        self.begin(SLICED_EPOCHS)

    def begin(self, epochs: int) -> None:
        """Reset weights and trainer to the first step."""
        tf_keras.utils.set_random_seed(1)
        train = self.parts[0]
        with self.strategy.scope():
            model = start_pooler(
                open_model(
                    self.config.model, self.task.label_names, train.texts, self.config.max_length
                )
            )
        precision = choose_precision(self.config.precision, model)
        self.train_set, self.dev_set = (
            EncodedDataset(
                part,
                encode(part, model.tokenizer, self.config.max_length),
                {self.task.target: self.task.gold(part)},
            )
            for part in self.parts
        )
        # Nothing is saved; the folder is only a name.
        with tempfile.TemporaryDirectory() as folder:
            config = replace(self.config, epochs=epochs, precision=precision)
            context = RunContext(config, Run(Path(folder)), self.strategy)
            data = EpochData(self.train_set, self.task)
            self.trainer = Trainer(context, model, self.task, data)

    def train(self, steps: int) -> tuple[int, int]:
        """Take steps; returns examples and tokens, padding not counted."""
        examples = tokens = 0
        for _ in range(steps):
            done = self.trainer.steps.take()
            self.trainer.checkpoints.progress.count(done.loss)
            examples += done.examples
            tokens += done.tokens
        return examples, tokens

    def accuracy(self) -> float:
        """Train a new model for the job's epochs; returns its dev accuracy."""
        self.begin(self.job.epochs)
        self.train(self.trainer.steps.total)
        return float(self.trainer.evaluate(self.dev_set).metrics["accuracy"])


if __name__ == "__main__":
    answer_lines(OurTrainer(read_job()))
