"""Answers for files of any size: who answers, in which order, and how they are kept."""
