"""The task `qa`: answers to questions from a context."""
