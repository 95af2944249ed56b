"""Retrieval inside the served graph: an index of entries as a SavedModel."""
