"""Loaded SavedModels and the inference APIs."""
