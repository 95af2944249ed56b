"""The share of tokens that the model's vocabulary lacks, by the script of the texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpipe.data.arrays import BoolArray, Int64Array
from tfpipe.data.examples import Examples
from tfpipe.data.scripts import SCRIPTS, scripts_of

if TYPE_CHECKING:
    from tfpipe.data.encoded import EncodedDataset
    from tfpipe.data.tokenizer import Tokenizer

NOTED, WARNED = 0.02, 0.10
# A script with fewer texts than both counts only as a part of the whole.
LEAST_TEXTS, LEAST_SHARE = 5, 0.01
MOST_SHOWN = 6
PRETRAINED = {
    "chinese": "Chinese or multilingual BERT, such as google-bert/bert-base-chinese",
    "multilingual": "multilingual BERT, such as google-bert/bert-base-multilingual-cased",
}


@dataclass(frozen=True)
class ScriptTokens:
    """The tokens of one script's texts, without special ones.

    Attributes:
        script: One of SCRIPTS.
        texts: Examples.
        tokens: All of their tokens, over all inputs and after truncation.
        unknown: The unknown ones among them.
    """

    script: str
    texts: int
    tokens: int
    unknown: int

    @property
    def share(self) -> float:
        """Unknown tokens as a share of all."""
        return self.unknown / self.tokens if self.tokens else 0.0


@dataclass(frozen=True)
class UnknownTokens:
    """Unknown tokens of `train`, `dev` and perhaps `test`.

    parts: by part, the scripts in its texts, that of most texts first; model: as `--model` names
    it, None where that is not known.
    """

    parts: Mapping[str, Sequence[ScriptTokens]]
    model: str | None = None

    def __str__(self) -> str:
        """The shares: `31.0% of train (latin 0.2%, han 62.5%), 0.4% of dev (latin)`."""
        shown = (
            f"{self.share(part):.1%} of {part} ({_list_shares(scripts)})"
            for part, scripts in self.parts.items()
        )
        return ", ".join(shown)

    def share(self, part: str) -> float:
        """Unknown tokens as a share of all tokens of a part."""
        tokens = sum(script.tokens for script in self.parts[part])
        return sum(script.unknown for script in self.parts[part]) / tokens if tokens else 0.0

    def exceeds(self, limit: float) -> bool:
        """Return whether the share is above the limit in a part, or in its texts of one script."""
        whole = any(self.share(part) > limit for part in self.parts)
        return whole or bool(self.scripts_above(limit))

    def scripts_above(self, limit: float) -> list[str]:
        """Scripts with too many unknown tokens.

        In a part their share is above the limit, and they have enough texts or most of its unknown
        tokens.
        """
        return list(dict.fromkeys(self._find_above(limit)))

    def _find_above(self, limit: float) -> Iterator[str]:
        for scripts in self.parts.values():
            least = max(LEAST_TEXTS, LEAST_SHARE * sum(script.texts for script in scripts))
            unknown = sum(script.unknown for script in scripts)
            for script in scripts:
                counts = script.texts >= least or 2 * script.unknown > unknown
                if script.share > limit and counts:
                    yield script.script

    @property
    def remedy(self) -> str:
        """Return `more_texts`, `tiny`, `chinese` or `multilingual`.

        More texts for a vocabulary learnt from the data, such a vocabulary where not even that of
        `multilingual` suffices, else a model for Chinese or for many languages, by the script with
        the most unknown tokens.
        """
        if self.model in ("tiny", "multilingual"):
            return "more_texts" if self.model == "tiny" else "tiny"
        counts: Counter[str] = Counter()
        for one in chain.from_iterable(self.parts.values()):
            counts[one.script] += one.unknown
        return "chinese" if counts.most_common(1)[0][0] == "han" else "multilingual"

    @property
    def note(self) -> str | None:
        """A sentence where some tokens are unknown, but not so many that there is a warning."""
        if not self.exceeds(NOTED) or self.exceeds(WARNED):
            return None
        return f"{self._vocabulary} does not cover all of the texts: {self._unknown}"

    @property
    def warning(self) -> str | None:
        """A sentence, with advice, where so many are unknown that the model cannot do well."""
        if not self.exceeds(WARNED):
            return None
        if self.remedy == "more_texts":
            advice = f"train on more texts, or give --model a {PRETRAINED['multilingual']}"
        else:
            advice = "give --model tiny, whose vocabulary is learnt from these texts"
            if self.remedy != "tiny":
                advice = (
                    f"give --model multilingual; or {advice}, or --model with the folder or hub id"
                    f" of a {PRETRAINED[self.remedy]}"
                )
        return f"{self._vocabulary} does not cover these texts: {self._unknown}; {advice}"

    @property
    def _vocabulary(self) -> str:
        return f"the vocabulary of --model {self.model}" if self.model else "the vocabulary"

    @property
    def _unknown(self) -> str:
        return f"unknown tokens are {self}"

    def as_json(self) -> dict[str, Any]:
        """Return by part: share, and by script texts, tokens and unknown tokens."""
        return {
            part: {
                "share": self.share(part),
                "by_script": {
                    one.script: {"texts": one.texts, "tokens": one.tokens, "unknown": one.unknown}
                    for one in scripts
                },
            }
            for part, scripts in self.parts.items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], model: str | None = None) -> UnknownTokens:
        """Read what `as_json` returns."""
        parts = {
            part: [ScriptTokens(name, **counts) for name, counts in of_part["by_script"].items()]
            for part, of_part in content.items()
        }
        return cls(parts, model)


def count_unknown(
    parts: Mapping[str, EncodedDataset], tokenizer: Tokenizer, model: str | None = None
) -> UnknownTokens:
    """Count the unknown tokens in the inputs of each part; model: as `--model` names it."""
    return UnknownTokens(
        {name: _count_part(labelled, tokenizer) for name, labelled in parts.items()}, model
    )


def _count_part(labelled: EncodedDataset, tokenizer: Tokenizer) -> list[ScriptTokens]:
    examples, encoded = labelled.examples, labelled.encoded
    special = np.isin(encoded.ids, [tokenizer.frame.cls, tokenizer.frame.sep])

    def count(found: BoolArray) -> Int64Array:
        """Count bool [T] by example, int64 [N]; no input is empty, each begins with `cls`."""
        of_inputs = np.add.reduceat(found, encoded.splits[:-1], dtype=np.int64)
        return np.bincount(labelled.example_of, of_inputs, len(examples)).astype(np.int64)

    return sum_by_script(examples, count(~special), count(encoded.ids == tokenizer.unk_id))


def sum_by_script(
    examples: Examples, tokens: Int64Array, unknown: Int64Array
) -> list[ScriptTokens]:
    """Sum the tokens of examples, int64 [N], by the script of their texts, the most texts first."""
    pairs = [] if examples.text_pairs is None else [examples.text_pairs]
    script = scripts_of(examples.texts, *pairs)
    texts = np.bincount(script, minlength=len(SCRIPTS))
    tokens, unknown = (np.bincount(script, x, len(SCRIPTS)) for x in (tokens, unknown))
    return [
        ScriptTokens(SCRIPTS[i], int(texts[i]), int(tokens[i]), int(unknown[i]))
        for i in np.argsort(-texts, kind="stable").tolist()
        if texts[i]
    ]


def _list_shares(scripts: Sequence[ScriptTokens]) -> str:
    if len(scripts) == 1:
        return show_script(scripts[0].script)
    shown = [f"{show_script(one.script)} {one.share:.1%}" for one in scripts[:MOST_SHOWN]]
    return ", ".join([*shown, "..."] if scripts[MOST_SHOWN:] else shown)


def show_script(script: str) -> str:
    """Return the script's name within a sentence."""
    return "no letters" if script == "none" else script
