"""Formats of data files: how each is recognised by its content and read into rows."""
