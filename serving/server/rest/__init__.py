"""REST endpoint."""
