"""Data files to token ids: reading, splitting, quality checks and the tokenizer."""
