"""What `tfpipe.compress` measures: the importance of a model's parts, and two models' figures."""
