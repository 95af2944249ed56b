"""Resampling, intervals and tests of statistics."""
