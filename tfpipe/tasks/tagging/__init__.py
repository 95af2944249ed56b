"""Entities as BIO tags of words: where words are, the best legal tags, strict figures."""
