"""The shipped Unicode tables are those of the `tokenizers` library."""

from __future__ import annotations

import numpy as np
import pytest

from tfpipe.data.tokenizer.wordpiece import unicode_tables


def test_shipped_tables_are_the_ones_that_were_proven():
    # They change with `python -m tfpipe.data.tokenizer.wordpiece.unicode_tables` only: then prove
    # the new ones again.
    assert unicode_tables.digest() == (
        "7d129ace17943d43ed25f298de34c89900ee232447fba166f0d57f076e1d578b"
    )


@pytest.mark.slow
def test_tables_are_what_the_tokenizers_library_says():
    learnt = unicode_tables.learn()
    shipped = unicode_tables.load()
    assert learnt.keys() == shipped.keys()
    for name, facts in learnt.items():
        np.testing.assert_array_equal(facts, shipped[name], name)
