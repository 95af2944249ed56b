"""What `tfpipe.doctor` looks at: the environment, a data file, a run, an export."""
