"""A server that speaks TensorFlow Serving's interface, for wherever that one cannot run."""
