"""Tests of a model on changed texts: by chance, by an attack, and as a file expects."""
