"""BERT's WordPiece tokenizer: its files, normalisation and pieces."""
