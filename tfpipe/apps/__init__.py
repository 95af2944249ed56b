"""Applications over served models."""
