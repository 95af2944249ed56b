"""Report sentences about the task `regress`, in each language."""

from __future__ import annotations

from tfpipe.tasks.spec import Words

ENGLISH: Words = {
    "kicker": "Scoring of texts",
    "headline": (
        "Gives a text a value; its Pearson correlation with the gold values is {pearson}, and its"
        " mean absolute error is {mae}."
    ),
}
CHINESE: Words = {
    "kicker": "文本评分",
    "headline": ("给文本打分：与人工分值的皮尔逊相关系数为 {pearson}，平均相差 {mae}。"),
}
WORDS = {"en": ENGLISH, "zh": CHINESE}
