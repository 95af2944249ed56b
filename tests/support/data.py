"""Small data files for every task, which the model `tiny` learns in seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path

WORDS = {
    "card": ["card", "卡", "plastic", "pin", "atm"],
    "refund": ["refund", "退款", "money", "back", "return"],
    "weather": ["rain", "天气", "sun", "cloud", "storm"],
}
FILLERS = ["please", "my", "the", "where", "is", "now", "I", "want", "吗", "？", "today", "!"]


def write_messages(path: Path, rows: int = 120, seed: int = 1, pairs: bool = False) -> Path:
    """A TSV of short messages whose label follows from one of their words."""
    chance = random.Random(seed)
    lines = ["text_a\ttext_b\tlabel" if pairs else "text\tlabel"]
    for row in range(rows):
        label = sorted(WORDS)[row % len(WORDS)]
        words = [chance.choice(WORDS[label]), *chance.sample(FILLERS, chance.randint(1, 8))]
        chance.shuffle(words)
        text = f"{' '.join(words)} {row}"
        lines.append(
            f"{text}\tabout {chance.randint(0, 99)}\t{label}" if pairs else f"{text}\t{label}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_scoped_messages(path: Path, rows: int = 150, seed: int = 1) -> Path:
    """A TSV of short messages, a third of them out of scope (oos)."""
    text = write_messages(path, rows, seed).read_text(encoding="utf-8")
    path.write_text(text.replace("\tweather\n", "\toos\n"), encoding="utf-8")
    return path


def write_long_messages(path: Path, rows: int = 120, seed: int = 1) -> Path:
    """A TSV of messages of up to 42 words; the one that tells the label stands anywhere."""
    chance = random.Random(seed)
    lines = ["text\tlabel"]
    for row in range(rows):
        label = chance.choice(sorted(WORDS))
        words = chance.choices(FILLERS, k=chance.randint(0, 40))
        words.insert(chance.randint(0, len(words)), chance.choice(WORDS[label]))
        lines.append(f"{' '.join(words)} {row}\t{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_label_sets(path: Path, rows: int = 200, seed: int = 1) -> Path:
    """A TSV of short messages, each with one of its label's words for each of its labels."""
    chance = random.Random(seed)
    lines = ["text\tlabel"]
    for row in range(rows):
        labels = [label for label in sorted(WORDS) if chance.random() < 0.4]
        words = [chance.choice(WORDS[label]) for label in labels]
        words += chance.sample(FILLERS, chance.randint(1, 5))
        chance.shuffle(words)
        lines.append(f"{' '.join(words)} {row}\t{'|'.join(labels)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_numbers(path: Path, rows: int = 200, seed: int = 1, pairs: bool = False) -> Path:
    """A TSV of short messages whose number follows from their words, in units far from 1."""
    chance = random.Random(seed)
    worth = {"bad": 100.0, "poor": 150.0, "fair": 250.0, "good": 300.0, "great": 350.0}
    lines = ["text_a\ttext_b\tlabel" if pairs else "text\tlabel"]
    for row in range(rows):
        word = chance.choice(sorted(worth))
        words = [word, *chance.sample(FILLERS, chance.randint(1, 5))]
        chance.shuffle(words)
        text = f"{' '.join(words)} {row}"
        number = f"{worth[word] + chance.uniform(-5, 5):.1f}"
        lines.append(f"about {row}\t{text}\t{number}" if pairs else f"{text}\t{number}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


PEOPLE = ["ann", "bob", "李明", "zoe 🙂 lee", "王芳"]
CHINESE_PEOPLE = ["李明", "王芳", "欧阳雪", "阿里木·买买提", "王倢"]
CHINESE_PLACES = ["北京", "上海", "呼和浩特", "香港"]
PLACES = ["rome", "北京", "new york", "上海"]


def write_entities(path: Path, rows: int = 300, seed: int = 1) -> Path:
    """A CoNLL file in BIO: people meet in places, in English and Chinese."""
    chance = random.Random(seed)
    lines = []
    for row in range(rows):
        person, place = chance.choice(PEOPLE), chance.choice(PLACES)
        parts = [
            (chance.choice(FILLERS), "O"),
            *_tagged(person, "person"),
            (chance.choice(["met", "在", "in"]), "O"),
            *_tagged(place, "place"),
            (str(row), "O"),
        ]
        lines += [f"{token}\t{tag}" for token, tag in parts[row % 2 :]] + [""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_chinese_entities(path: Path, rows: int = 200, seed: int = 1) -> Path:
    """JSON lines of Chinese texts with entities by code points, behind wide signs and emoji."""
    chance = random.Random(seed)
    lines = []
    for row in range(rows):
        opening = chance.choice(["", "ＶＩＰ：", "🙂", "（１２）👍🏽", "　", "a\u0301 😀😀"])
        person, place = (chance.choice(names) for names in (CHINESE_PEOPLE, CHINESE_PLACES))
        start = len(opening)
        text = f"{opening}{person}{chance.choice(['在', '去了', '，'])}"
        entities = [[start, start + len(person), "person"]]
        entities.append([len(text), len(text) + len(place), "place"])
        text += f"{place}{chance.choice(['工作。', '！', '看天气'])}{row}"
        lines.append(json.dumps({"text": text, "entities": entities}, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _tagged(name: str, kind: str) -> list[tuple[str, str]]:
    words = name.split() if name.isascii() or " " in name else list(name)
    return [(word, f"{'I' if number else 'B'}-{kind}") for number, word in enumerate(words)]


COLOURS = ["red", "blue", "green", "old", "new", "红色的", "tiny", "cheap"]
THINGS = ["card", "shoe", "lamp", "phone", "房子", "train"]


def write_similar(path: Path, rows: int = 144, seed: int = 1, graded: bool = False) -> Path:
    """A TSV of questions and what answers them; graded: with a similarity, not all answered."""
    chance = random.Random(seed)
    lines = ["text_a\ttext_b\tscore" if graded else "question\tanswer"]
    for row in range(rows):
        colour, thing = chance.choice(COLOURS), chance.choice(THINGS)
        other = [chance.choice(COLOURS), chance.choice(THINGS)] if graded else [colour, thing]
        asked = " ".join(chance.sample(["where", "is", "the", colour, thing, str(row)], 6))
        found = f"our {other[1]} that is {other[0]} is here"
        same = (other[0] == colour) + (other[1] == thing)
        lines.append(f"{asked}\t{found}" + (f"\t{2.5 * same}" if graded else ""))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_questions(path: Path, rows: int = 240, seed: int = 1, silent: bool = True) -> Path:
    """SQuAD's JSON: where something is, reported in a context of several windows.

    silent: whether every fourth question has no answer.
    """
    chance = random.Random(seed)
    paragraphs = []
    for row in range(rows):
        thing, place = chance.choice(["card", "钥匙", "bag"]), chance.choice(PLACES)
        before = " ".join(chance.choices(FILLERS, k=chance.randint(0, 14)))
        after = " ".join(chance.choices(FILLERS, k=chance.randint(0, 14)))
        reported = f"{thing} : {place}"
        context = f"{row} {before} {reported} . {after}"
        asked = thing
        answers = [{"text": place, "answer_start": context.index(reported) + len(thing) + 3}]
        if silent and row % 4 == 0:
            asked, answers = "cat", []
        question = {"id": str(row), "question": f"{asked} ?", "answers": answers}
        paragraphs.append({"context": context, "qas": [question | {"is_impossible": not answers}]})
    content = {"version": "2", "data": [{"title": "things", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path
