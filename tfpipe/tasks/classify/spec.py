"""Specification of the task `classify`."""

from __future__ import annotations

from tfpipe.tasks.classify.report_words import WORDS
from tfpipe.tasks.spec import HubEntry, Reference, TaskSpec

PACKAGE = "tfpipe.tasks.classify"
SPEC = TaskSpec(
    name="classify",
    task=Reference(f"{PACKAGE}.task", "Classify"),
    labels=Reference(f"{PACKAGE}.labels", "Names"),
    schema=Reference(f"{PACKAGE}.output", "SCHEMA"),
    compare=Reference(f"{PACKAGE}.comparison", "compare"),
    words=WORDS,
    verb="classify",
    metrics={"accuracy": "max", "macro_f1": "max", "weighted_f1": "max", "loss": "min"},
    optional_metrics={
        "coverage": "max",
        "selective_accuracy": "max",
        "in_scope_accuracy": "max",
        "out_of_scope_recall": "max",
    },
    inapplicable={"offsets": "its labels have no places of entities"},
    baseline=Reference(f"{PACKAGE}.baseline", "majority_baseline"),
    hub=HubEntry(
        "text-classification",
        "TFAutoModelForSequenceClassification",
        "Its scores are the softmax of `logits / {temperature:.6g}`.",
        {"temperature": 1.0},
    ),
)
