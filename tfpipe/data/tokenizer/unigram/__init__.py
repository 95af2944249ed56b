"""XLM-R's SentencePiece Unigram tokenizer: its files, normalisation and pieces."""
