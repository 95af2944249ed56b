"""Report sentences about the task `qa`, in each language."""

from __future__ import annotations

from tfpipe.tasks.spec import Words

ENGLISH: Words = {
    "kicker": "Answering questions from texts",
    "headline": (
        "Answers questions from a text: {exact_match} of the answers are exactly right, and the"
        " overlap with the right answer (F1) is {f1}."
    ),
    "headline_silent": (
        "Answers questions from a text, or says that there is none: {exact_match} of the"
        " answers are exactly right, and the overlap with the right answer (F1) is {f1}."
    ),
    "heading.label_counts": "Questions with and without answer",
    "column.label": "answer",
    "meaning.exact_match": "Share of the answers that are a gold answer, word for word.",
    "meaning.f1": "Mean overlap of the answer with the best gold answer, as harmonic mean.",
    "calibration.note": (
        "Answers are sorted by their score; right is a gold answer, word for word. In a well"
        " calibrated model, of the answers with a score near 0.8, 80\u00a0% are right: the points"
        " lie on the dotted line. Below it the model is overconfident, above it underconfident."
    ),
    "mistakes.brief": (
        "{count} answer without a right word",
        "{count} answers without a right word",
    ),
}
CHINESE: Words = {
    "kicker": "阅读理解问答",
    "headline": (
        "从给定文本中回答问题：{exact_match} 的回答与标准答案完全一致，"
        "与标准答案的重合度（F1）为 {f1}。"
    ),
    "headline_silent": (
        "从给定文本中回答问题，或指出文中没有答案：{exact_match} 的回答与标准答案完全一致，"
        "与标准答案的重合度（F1）为 {f1}。"
    ),
    "heading.label_counts": "有答案和没有答案的问题",
    "column.label": "有无答案",
    "meaning.exact_match": "与某个标准答案逐字一致的回答所占比例。",
    "meaning.f1": "回答与最接近的标准答案的平均重合度（调和平均）。",
    "calibration.note": (
        "按得分把回答分组，与标准答案逐字一致才算正确。校准良好的模型，得分在 0.8 左右的回答应有 "
        "80% 正确，即各点落在虚线上；低于虚线表示过于自信，高于虚线表示自信不足。"
    ),
    "mistakes.brief": "{count} 个回答与标准答案毫无重合",
}
WORDS = {"en": ENGLISH, "zh": CHINESE}
