"""Atomic writes and exclusive locks."""
