"""Cleaning of data files: labels merged, rows dropped, other formats written."""
