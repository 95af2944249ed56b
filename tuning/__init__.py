"""Hyperparameter search over the settings of tfpipe.train with Keras Tuner's oracles."""
