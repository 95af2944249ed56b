"""A tiny real world: messages that a two-layer model learns in seconds, and a run on them."""

from __future__ import annotations

import random
from pathlib import Path

from tfpipe.config import TrainConfig
from tfpipe.run import Run
from tfpipe.train import train

WORDS = {
    "card": ["card", "卡", "plastic", "pin", "atm"],
    "refund": ["refund", "退款", "money", "back", "return"],
    "weather": ["rain", "天气", "sun", "cloud", "storm"],
}
FILLERS = ["please", "my", "the", "where", "is", "now", "I", "want", "吗", "？", "today", "!"]


def write_messages(path: Path, rows: int = 120, seed: int = 1, pairs: bool = False) -> Path:
    """A TSV of short messages whose label follows from one of their words."""
    chance = random.Random(seed)
    lines = ["text_a\ttext_b\tlabel" if pairs else "text\tlabel"]
    for row in range(rows):
        label = sorted(WORDS)[row % len(WORDS)]
        words = [chance.choice(WORDS[label]), *chance.sample(FILLERS, chance.randint(1, 8))]
        chance.shuffle(words)
        text = f"{' '.join(words)} {row}"
        lines.append(
            f"{text}\tabout {chance.randint(0, 99)}\t{label}" if pairs else f"{text}\t{label}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tiny_config(folder: Path, **values: object) -> TrainConfig:
    """A configuration that trains `tiny` on fresh messages in seconds."""
    data = folder / "messages.tsv"
    if not data.exists():
        write_messages(data)
    settings: dict = {
        "train": str(data),
        "dev": "0.2",
        "model": "tiny",
        "epochs": 3,
        "batch_size": 8,
        "max_length": 16,
        # What `auto` takes depends on the machine.
        "precision": "float32",
        "output": str(folder / "run"),
    }
    return TrainConfig(**(settings | values))


def tiny_run(folder: Path, **values: object) -> Run:
    """A finished run of `tiny_config`."""
    folder.mkdir(parents=True, exist_ok=True)
    return train(tiny_config(folder, **values))
