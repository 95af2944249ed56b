"""Specification of the task `qa`."""

from __future__ import annotations

from tfpipe.tasks.qa.report_words import WORDS
from tfpipe.tasks.spec import FileFormat, HubEntry, Reference, TaskSpec

PACKAGE = "tfpipe.tasks.qa"
SPEC = TaskSpec(
    name="qa",
    task=Reference(f"{PACKAGE}.task", "QA"),
    labels=Reference(f"{PACKAGE}.labels", "Answers"),
    schema=Reference(f"{PACKAGE}.output", "SCHEMA"),
    compare=Reference(f"{PACKAGE}.comparison", "compare"),
    words=WORDS,
    verb="answer",
    metrics={"f1": "max", "exact_match": "max", "loss": "min"},
    hub=HubEntry(
        "question-answering",
        "TFAutoModelForQuestionAnswering",
        "An answer is the best span over all windows of the context, of up to {longest_answer}"
        " tokens.",
        {"longest_answer": 48},
        inputs="questions and their contexts",
    ),
    inapplicable={
        "offsets": "places of answers count characters",
        "rare_labels": "its labels are answers",
        "abstain": "it learns from questions without an answer when to give none",
        "long_text": "contexts are always read in windows",
    },
    file_format=FileFormat(
        (".json",),
        read=Reference("tfpipe.data.squad", "read_squad"),
        stream=Reference("tfpipe.data.squad", "stream_questions"),
        has_labels=Reference("tfpipe.data.squad", "has_answers"),
        is_other=Reference("tfpipe.data.tabular", "holds_objects"),
    ),
    recognise=Reference(f"{PACKAGE}.recognition", "recognise"),
    columns_noun=None,
    pairs="needed",
    label_columns=("answers", "answer", "答案", "回答"),
    always_windows=True,
)
