"""Report sentences about the task `classify`, in each language."""

from __future__ import annotations

from tfpipe.tasks.spec import Words

ENGLISH: Words = {
    "kicker": "Text classification",
    "headline": ("Gives a text one of {labels} labels, and is right for {accuracy} of the texts."),
    "headline_scope": (
        "Gives a text one of {labels} labels or none: {in_scope_accuracy} of the texts that a label"
        " fits get it, and {out_of_scope_recall} of the others get none."
    ),
    "headline_coverage": (
        "Gives a text one of {labels} labels or no answer: it answers for {coverage} of the texts,"
        " and {selective_accuracy} of these answers are right."
    ),
}
CHINESE: Words = {
    "kicker": "文本分类",
    "headline": "把一段文本归入 {labels} 个标签之一，{accuracy} 的文本归类正确。",
    "headline_scope": (
        "把一段文本归入 {labels} 个标签之一，或不作归类：有合适标签的文本中 {in_scope_accuracy} "
        "归类正确，其余文本中 {out_of_scope_recall} 未被误归。"
    ),
    "headline_coverage": (
        "把一段文本归入 {labels} 个标签之一，或不作回答：对 {coverage} 的文本作出回答，"
        "其中 {selective_accuracy} 正确。"
    ),
}
WORDS = {"en": ENGLISH, "zh": CHINESE}
