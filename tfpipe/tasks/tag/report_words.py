"""Report sentences about the task `tag`, in each language."""

from __future__ import annotations

from tfpipe.tasks.spec import Words

ENGLISH: Words = {
    "kicker": "Finding entities in texts",
    "headline": (
        "Finds entities of {labels} types in texts: {recall} of those that are there, and"
        " {precision} of what it finds is right."
    ),
    "section.classes": "Entity types",
    "fact.labels": "entity types",
    "heading.label_counts": "Texts with entities of each type",
    "column.label": "type",
    "classes.note": (
        "Worst first; a click on a heading sorts. Precision: of what was found, the share that is"
        " right in place and type. Recall: of what is there, the share that was found so. F1: their"
        " harmonic mean. Support: entities of the type in dev."
    ),
    "classes.brief": ("{count} type, F1 {worst}", "{count} types, from F1 {worst} to {best}"),
    "calibration.note": (
        "Entities that were found are sorted by their score. In a well calibrated model, of those"
        " with a score near 0.8, 80\u00a0% are right: the points lie on the dotted line. Below it"
        " the model is overconfident, above it underconfident."
    ),
    "mistakes.brief": (
        "{count} entity wrong or missed",
        "{count} entities wrong or missed",
    ),
}
CHINESE: Words = {
    "kicker": "实体识别",
    "headline": (
        "在文本中找出 {labels} 类实体：找到了实际存在的 {recall}，找出的结果中 {precision} 正确。"
    ),
    "section.classes": "各类实体的表现",
    "fact.labels": "实体类型数",
    "heading.label_counts": "含有各类型实体的文本数",
    "column.label": "类型",
    "classes.note": (
        "表现最差的在前，点击表头可以排序。精确率：找出的结果中位置和类型都正确的比例。"
        "召回率：实际存在的实体中被正确找到的比例。F1：两者的调和平均。"
        "样本数：验证集中该类型的实体数。"
    ),
    "classes.brief": "{count} 类实体，F1 从 {worst} 到 {best}",
    "calibration.note": (
        "按得分把找到的实体分组。校准良好的模型，得分在 0.8 左右的实体应有 80% 正确，"
        "即各点落在虚线上；低于虚线表示过于自信，高于虚线表示自信不足。"
    ),
    "mistakes.brief": "{count} 个实体错误或遗漏",
}
WORDS = {"en": ENGLISH, "zh": CHINESE}
