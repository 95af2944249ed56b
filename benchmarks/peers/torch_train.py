"""Peer of benchmarks/train.py: PyTorch and transformers, fused AdamW.

    python torch_train.py JOB.json dynamic|grouped bfloat16|float32

`dynamic` pads every batch to its longest text; `grouped` also puts texts of like length together,
with the sampler of transformers' own Trainer. `bfloat16` is its autocast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

# The parent process may disable torch in the environment: tfpipe runs without it.
os.environ |= {"USE_TF": "0", "USE_TORCH": "1"}

import torch
from slices import (
    CLIP_NORM,
    SLICED_EPOCHS,
    WARMUP,
    WEIGHT_DECAY,
    Job,
    Rows,
    answer_lines,
    read_job,
    read_rows,
)
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NO_DECAY = ("bias", "LayerNorm")


class TorchTrainer:
    """Training loop of transformers' examples without Trainer."""

    def __init__(self, job: Job, grouped: bool, narrow: bool):
        self.job, self.grouped, self.narrow = job, grouped, narrow
        self.tokenizer = AutoTokenizer.from_pretrained(job.model)
        self.rows = read_rows(job.train)
        self.features = self.encode(self.rows)
        self.begin(SLICED_EPOCHS)

    def encode(self, rows: Rows) -> list[dict[str, Any]]:
        """Return token ids and label of each row, unpadded."""
        encoded = self.tokenizer(rows.texts, truncation=True, max_length=self.job.max_length)
        columns = {**encoded, "labels": rows.gold}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def begin(self, epochs: int) -> None:
        """Create new weights, optimizer, schedule and batches."""
        torch.manual_seed(1)
        self.model = AutoModelForSequenceClassification.from_pretrained(
            self.job.model, num_labels=len(self.rows.label_names)
        ).to(DEVICE)
        decay = {name: not any(part in name for part in NO_DECAY) for name, _ in self.named()}
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for n, p in self.named() if decay[n]], "weight_decay": WEIGHT_DECAY},
                {"params": [p for n, p in self.named() if not decay[n]], "weight_decay": 0.0},
            ],
            lr=self.job.learning_rate,
            fused=True,
        )
        self.per_epoch = -(-len(self.features) // self.job.batch_size)
        steps = self.per_epoch * epochs
        self.schedule = get_linear_schedule_with_warmup(
            self.optimizer, round(WARMUP * steps), steps
        )
        self.batches = self.read()

    def named(self) -> list[tuple[str, Any]]:
        """Return the model's parameters by name."""
        return list(self.model.named_parameters())

    def read(self) -> Iterator[Any]:
        """Yield batches without end, each padded to its longest text."""
        lengths = [len(feature["input_ids"]) for feature in self.features]
        sampler = None
        if self.grouped:
            sampler = LengthGroupedSampler(self.job.batch_size, lengths=lengths)
        loader = DataLoader(
            self.features,
            self.job.batch_size,
            shuffle=sampler is None,
            sampler=sampler,
            collate_fn=DataCollatorWithPadding(self.tokenizer),
        )
        while True:
            yield from loader

    def train(self, steps: int) -> tuple[int, int]:
        """Train for `steps`; return examples and tokens, padding not counted."""
        self.model.train()
        examples = tokens = 0
        for _ in range(steps):
            batch = next(self.batches)
            examples += len(batch["labels"])
            tokens += int(batch["attention_mask"].sum())
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.narrow):
                loss = self.model(**batch.to(DEVICE)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad(set_to_none=True)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return examples, tokens

    def accuracy(self) -> float:
        """Return the dev accuracy of a new model after the job's epochs."""
        self.begin(self.job.epochs)
        self.train(self.per_epoch * self.job.epochs)
        self.model.eval()
        dev = self.encode(read_rows(self.job.dev, self.rows.label_names))
        collate = DataCollatorWithPadding(self.tokenizer)
        right = 0
        with torch.no_grad():
            for batch in DataLoader(dev, 64, collate_fn=collate):
                logits = self.model(**batch.to(DEVICE)).logits
                right += int((logits.argmax(-1) == batch["labels"]).sum())
        return right / len(dev)


if __name__ == "__main__":
    answer_lines(TorchTrainer(read_job(), sys.argv[2] == "grouped", sys.argv[3] == "bfloat16"))
