"""Lifecycle of model versions, from the configuration to the versions that answer."""
