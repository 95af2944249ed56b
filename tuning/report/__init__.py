"""Output of a study for users: live table, TensorBoard HParams events, HTML report."""
