"""Server with TensorFlow Serving's gRPC and REST APIs, for platforms without its binary."""
