"""A server compatible with TensorFlow Serving, and a client for both."""
