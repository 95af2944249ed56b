"""Checks of `tfpipe.doctor`: the environment, a data file, a run, an export."""
