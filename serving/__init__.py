"""Serving: `serving.server` answers as TensorFlow Serving does, `serving.client` asks either."""
