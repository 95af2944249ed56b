"""Peer of benchmarks/serving.py: BentoML with adaptive batching around the same pipeline.

MODEL=RUN/model bentoml serve bentoml_service:Classifier --host 127.0.0.1 --port 9002
"""

from __future__ import annotations

import os

import bentoml
from transformers import pipeline


@bentoml.service(workers=1, traffic={"timeout": 60})
class Classifier:
    """One model; concurrent requests are batched, at most 32 texts."""

    def __init__(self) -> None:
        self.classifier = pipeline("text-classification", model=os.environ["MODEL"], framework="pt")

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=30_000)
    def classify(self, texts: list[str]) -> list[dict]:
        """Return the best label and its score for each text."""
        return self.classifier(texts, batch_size=32, truncation=True)
