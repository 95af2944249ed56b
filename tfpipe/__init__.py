"""tfpipe: train, evaluate, export and serve text models with TensorFlow."""

# First of all: its settings must be made before TensorFlow and transformers are imported.
from tfpipe import library_settings as library_settings

__version__ = "0.1.0"
