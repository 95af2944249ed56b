"""Specification of the task `multilabel`."""

from __future__ import annotations

from tfpipe.tasks.multilabel.report_words import WORDS
from tfpipe.tasks.spec import HubEntry, Reference, TaskSpec

PACKAGE = "tfpipe.tasks.multilabel"
SPEC = TaskSpec(
    name="multilabel",
    task=Reference(f"{PACKAGE}.task", "Multilabel"),
    labels=Reference(f"{PACKAGE}.labels", "LabelSets"),
    schema=Reference(f"{PACKAGE}.output", "SCHEMA"),
    compare=Reference(f"{PACKAGE}.comparison", "compare"),
    words=WORDS,
    verb="multilabel",
    metrics={"micro_f1": "max", "macro_f1": "max", "exact_match": "max", "loss": "min"},
    hub=HubEntry(
        "text-classification",
        "TFAutoModelForSequenceClassification",
        "Its scores are the sigmoid of the logits, each with a threshold of its own.",
    ),
    inapplicable={
        "offsets": "its labels have no places of entities",
        "class_weights": "a text has no one label to weigh it by",
        "abstain": "its labels each apply or do not",
    },
    recognise=Reference(f"{PACKAGE}.recognition", "recognise"),
)
