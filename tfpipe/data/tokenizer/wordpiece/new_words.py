"""Words of texts that a vocabulary divides, to be added to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tfpipe.data.tokenizer.wordpiece.vocabulary import Rules, Vocabulary, make_normalizer

FEWEST = 5
# A longer word is unknown, whatever the vocabulary has.
LONGEST = 100


def find_new_words(
    vocabulary: Vocabulary, rules: Rules, texts: Iterable[str], most: int
) -> list[str]:
    """Find the most frequent words that are no token, the most frequent first.

    A word is what BERT divides into pieces: letters and digits in a row, one sign, or one Chinese
    character. It is divided or unknown where it is no token; numbers are left out.

    Args:
        vocabulary: The vocabulary.
        rules: How texts are normalised.
        texts: The texts.
        most: Words to find at most; each occurs at least FEWEST times.
    """
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalizer, splitter = make_normalizer(rules), BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        words = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        counts.update(word for word, _ in words if word not in vocabulary.ids)
    # In one order whatever that of the texts.
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    fit = (word for word in ordered if len(word) <= LONGEST and not word.isdecimal())
    return [word for word in fit if counts[word] >= FEWEST][:most]
