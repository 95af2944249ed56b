"""Batch prediction: backends, the batching pipeline, resumable output files."""
