"""gRPC endpoint."""
