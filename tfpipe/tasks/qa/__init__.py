"""Answers to questions from a context."""
