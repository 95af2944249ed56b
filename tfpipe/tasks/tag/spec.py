"""Specification of the task `tag`."""

from __future__ import annotations

from tfpipe.tasks.spec import FileFormat, HubEntry, Reference, TaskSpec
from tfpipe.tasks.tag.report_words import WORDS

PACKAGE = "tfpipe.tasks.tag"
SPEC = TaskSpec(
    name="tag",
    task=Reference(f"{PACKAGE}.task", "Tag"),
    labels=Reference(f"{PACKAGE}.labels", "Entities"),
    schema=Reference(f"{PACKAGE}.output", "SCHEMA"),
    compare=Reference(f"{PACKAGE}.comparison", "compare"),
    words=WORDS,
    verb="tag",
    metrics={"f1": "max", "precision": "max", "recall": "max", "loss": "min"},
    hub=HubEntry(
        "token-classification",
        "TFAutoModelForTokenClassification",
        "The tag of a word is that of its first token, in the best legal sequence of BIO tags.",
    ),
    inapplicable={
        "abstain": "where it is sure of no entity, it gives none",
        "long_text": "entities behind --max-length are not read",
    },
    file_format=FileFormat(
        (".conll", ".bio", ".bmes", ".bioes", ".iob"),
        read=Reference("tfpipe.data.conll", "read_conll"),
        stream=Reference("tfpipe.data.conll", "stream_texts"),
        has_labels=Reference("tfpipe.data.conll", "has_tags"),
    ),
    recognise=Reference(f"{PACKAGE}.recognition", "recognise"),
    columns_noun="tags",
    pairs="never",
    label_columns=("entities", "spans"),
    reads_tokens=True,
)
