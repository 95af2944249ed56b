"""A thin client of TensorFlow Serving: numpy, grpcio and protobuf, nothing else."""

from __future__ import annotations

from serving.client.answers import Classification, ModelMetadata, Signature, TensorSpec, Version
from serving.client.client import Client
from serving.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerFault,
    ServerUnavailable,
)

__all__ = [
    "Classification",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "ModelMetadata",
    "ModelNotFound",
    "ServerFault",
    "ServerUnavailable",
    "Signature",
    "TensorSpec",
    "Version",
]
