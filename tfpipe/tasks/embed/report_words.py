"""Report sentences about the task `embed`, in each language."""

from __future__ import annotations

from tfpipe.tasks.spec import Words

ENGLISH: Words = {
    "kicker": "Vectors of texts for search",
    "headline": (
        "Gives a text a vector. Of the questions, {recall_at_1} find the right text first, and"
        " {recall_at_5} among the first five."
    ),
    "headline_graded": (
        "Gives a text a vector. The order of the pairs by cosine agrees with that of their"
        " similarity with a rank correlation of {spearman}."
    ),
    "meaning.mrr_at_10": (
        "Mean of 1 / place of the right text among the first ten found; 0 where it is not there."
    ),
    "meaning.recall_at_1": "Share of the questions whose first text found is right.",
    "meaning.recall_at_5": "Share of the questions with a right text among the first five found.",
    "meaning.ndcg_at_10": (
        "Gain of the first ten texts found: right ones count less the further down they are; 1 is"
        " the best order."
    ),
    "meaning.spearman": "Correlation of the ranks of similarities and cosines.",
    "mistakes.worst": (
        "Questions whose first text found is not the right one, the furthest from it first. The"
        " score is the cosine of the text found."
    ),
    "mistakes.brief": (
        "{count} question finds another text first",
        "{count} questions find another text first",
    ),
    "mistakes.furthest": "Pairs whose place in the order of similarity is furthest off.",
}
CHINESE: Words = {
    "kicker": "用于检索的文本向量",
    "headline": (
        "为文本计算向量：{recall_at_1} 的问题第一条就找到正确文本，"
        "{recall_at_5} 的问题在前五条中找到。"
    ),
    "headline_graded": (
        "为文本计算向量：按余弦排列的句对顺序与人工相似度的等级相关系数为 {spearman}。"
    ),
    "meaning.mrr_at_10": "正确文本在前十条中名次倒数的平均值，未出现记 0。",
    "meaning.recall_at_1": "第一条就找到正确文本的问题所占比例。",
    "meaning.recall_at_5": "前五条中有正确文本的问题所占比例。",
    "meaning.ndcg_at_10": "前十条的折损累计增益：正确文本排得越后，得分越低；1 为最佳顺序。",
    "meaning.spearman": "相似度与余弦的等级相关系数。",
    "mistakes.worst": (
        "第一条不是正确文本的问题，正确文本名次最靠后的在前；得分是所找到文本的余弦。"
    ),
    "mistakes.brief": "{count} 个问题先找到别的文本",
    "mistakes.furthest": "在相似度顺序中名次偏差最大的句对。",
}
WORDS = {"en": ENGLISH, "zh": CHINESE}
