"""The task `tag`: entities in a text."""
