"""Specification of the task `regress`."""

from __future__ import annotations

from tfpipe.tasks.regress.report_words import WORDS
from tfpipe.tasks.spec import HubEntry, Reference, TaskSpec

PACKAGE = "tfpipe.tasks.regress"
SPEC = TaskSpec(
    name="regress",
    task=Reference(f"{PACKAGE}.task", "Regress"),
    labels=Reference(f"{PACKAGE}.labels", "Numbers"),
    schema=Reference(f"{PACKAGE}.output", "SCHEMA"),
    compare=Reference(f"{PACKAGE}.comparison", "compare"),
    words=WORDS,
    verb="regress",
    metrics={"pearson": "max", "spearman": "max", "mae": "min", "rmse": "min", "loss": "min"},
    hub=HubEntry(
        "text-classification",
        "TFAutoModelForSequenceClassification",
        "Its value in the labels' unit is `logits * {deviation:.6g} + {mean:.6g}`.",
        {"deviation": 1.0, "mean": 0.0},
    ),
    label_columns=("score", "similarity", "rating", "stars", "value", "分数", "评分"),
    inapplicable={
        "offsets": "its labels have no places of entities",
        "rare_labels": "its labels are numbers",
        "abstain": "a number has no score",
        "loss": "its loss is the squared error",
        "label_smoothing": "a number has no other labels to share with",
        "r_drop": "a number is not a distribution",
        "class_weights": "numbers are not classes",
    },
    recognise=Reference(f"{PACKAGE}.recognition", "recognise"),
    columns_noun=None,
)
