"""Report sentences about the task `multilabel`, in each language."""

from __future__ import annotations

from tfpipe.tasks.spec import Words

ENGLISH: Words = {
    "kicker": "Text classification, several labels a text",
    "headline": (
        "Marks which of {labels} labels a text has: F1 is {micro_f1} over all marks, and for"
        " {exact_match} of the texts every mark is right."
    ),
    "watch.too_sure": (
        "Its scores are too high: the mean is {confidence}, and {accuracy} of the labels apply."
    ),
    "watch.too_unsure": (
        "Its scores are too low: the mean is {confidence}, and {accuracy} of the labels apply."
    ),
    "calibration.note": (
        "Every label's score counts by itself. In a well calibrated model, of the labels with a"
        " score near 0.8, 80\u00a0% apply: the points lie on the dotted line. Below it scores are"
        " too high, above it too low."
    ),
    "calibration.accuracy": "share of labels that apply",
}
CHINESE: Words = {
    "kicker": "多标签文本分类",
    "headline": (
        "判断一段文本具有 {labels} 个标签中的哪些：全部判断的微平均 F1 为 {micro_f1}，"
        "{exact_match} 的文本所有标签都正确。"
    ),
    "watch.too_sure": ("得分偏高：平均得分为 {confidence}，而实际成立的标签占 {accuracy}。"),
    "watch.too_unsure": ("得分偏低：平均得分为 {confidence}，而实际成立的标签占 {accuracy}。"),
    "calibration.note": (
        "每个标签的得分单独计算。校准良好的模型，得分在 0.8 左右的标签应有 80% 确实成立，"
        "即各点落在虚线上；低于虚线表示得分偏高，高于虚线表示得分偏低。"
    ),
    "calibration.accuracy": "成立的标签所占比例",
}
WORDS = {"en": ENGLISH, "zh": CHINESE}
