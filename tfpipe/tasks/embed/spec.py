"""Specification of the task `embed`."""

from __future__ import annotations

from tfpipe.tasks.embed.report_words import WORDS
from tfpipe.tasks.spec import HubEntry, Reference, TaskSpec

PACKAGE = "tfpipe.tasks.embed"
SPEC = TaskSpec(
    name="embed",
    task=Reference(f"{PACKAGE}.task", "Embed"),
    labels=Reference(f"{PACKAGE}.labels", "Similarity"),
    schema=Reference(f"{PACKAGE}.output", "SCHEMA"),
    compare=Reference(f"{PACKAGE}.comparison", "compare"),
    words=WORDS,
    verb="embed",
    metrics={
        "mrr_at_10": "max",
        "recall_at_1": "max",
        "recall_at_5": "max",
        "ndcg_at_10": "max",
        "spearman": "max",
        "loss": "min",
    },
    hub=HubEntry(
        "sentence-similarity",
        "TFAutoModel",
        "The cosine of two vectors is their scalar product.",
        inputs="texts",
        library="sentence-transformers",
    ),
    label_columns=("score", "similarity", "相似度"),
    inapplicable={
        "offsets": "its labels have no places of entities",
        "rare_labels": "it learns no names of labels",
        "abstain": "a vector has no score",
        "long_text": "a vector is that of a text's first tokens",
        "loss": "its loss follows from the data: pairs, graded pairs, or texts with labels",
        "label_smoothing": "it learns no names of labels",
        "r_drop": "a vector is not a distribution",
        "augment": "its loss recognises equal texts by their content, which would change",
        "adversarial": "its loss compares the texts of a batch, which would all be moved",
        "teacher": "a vector has no labels whose scores could be learnt",
        "smoothness": "a vector is not a distribution",
        "class_weights": "it learns no names of labels",
    },
    columns_noun=None,
    compares_examples=True,
)
