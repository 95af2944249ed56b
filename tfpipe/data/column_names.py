"""Names by which the columns of data files are known, and how names are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# All names are compared by `fold_name`; each list is in the order in which names are looked for.
TEXT_COLUMNS = (
    *("text", "sentence", "message", "utterance", "content", "body", "review", "comment"),
    *("文本", "内容", "正文", "句子", "评论", "query", "question", "问题"),
)
LABEL_COLUMNS = (
    *("label", "labels", "category", "intent", "class", "gold_label", "sentiment", "target"),
    *("topic", "tag", "y", "标签", "类别", "分类", "意图", "情感", "is_duplicate", "quality"),
)
NUMBERED = (
    *("text", "sentence", "sent", "s", "question", "query", "q", "文本", "句子", "问题", "问句"),
)
PAIRS = (
    ("text", "text_pair"),
    *((name + a, name + b) for name in NUMBERED for a, b in ("ab", "12", "01")),
    *(("question", name) for name in ("context", "passage", "paragraph", "sentence")),
    *(("query", name) for name in ("context", "passage", "document", "doc", "title", "answer")),
    *(("question", "answer"), ("premise", "hypothesis"), ("anchor", "positive")),
    *(("问题", name) for name in ("上下文", "段落", "文章", "答案", "回答")),
    *(("查询", "文档"), ("查询", "标题"), ("前提", "假设"), ("#1 String", "#2 String")),
)
# A title is a text where there is no longer one.
LAST_TEXT_COLUMNS = (*dict.fromkeys(first for first, _ in PAIRS[1:]), "title", "标题")
# Lists of words; only where there is no text.
TOKEN_COLUMNS = ("tokens", "words")
# What pandas calls an index or column without a name.
UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?|__index_level_\d+__")


def fold_name(name: str) -> str:
    """Return a key that is equal for names that differ in case, width, `_`, `-` and blanks."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def find_name(header: Sequence[str], usual: Sequence[str]) -> str | None:
    """Return the column that has the first of the usual names that any has."""
    by_key: dict[str, str] = {}
    for name in header:
        by_key.setdefault(fold_name(name), name)
    return next((by_key[key] for key in map(fold_name, usual) if key in by_key), None)


def is_unnamed(name: str) -> bool:
    """Return whether a column is an index that pandas wrote without a name."""
    return not name or UNNAMED.fullmatch(name) is not None
