"""tfpipe: train, evaluate, export and serve text models with TensorFlow."""

import os
from pathlib import Path

# Before TensorFlow and transformers are imported: TFBert lives on Keras 2 (tf-keras); transformers
# would import torch where it finds it, which can end the process (two copies of LLVM) and takes
# seconds. TensorFlow's start-up notes are silenced where they arise; its wheel also reports an
# error on every machine that has no GPU, which is only news where there is one.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("USE_TF", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if Path("/proc/driver/nvidia").exists() else "3")

__version__ = "0.1.0"
