"""Comparison of two models on the same labelled texts: metrics, tests, changed answers."""
