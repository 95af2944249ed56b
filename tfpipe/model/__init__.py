"""BERT models with a task's head: loading and saving, and the fast forward pass."""
