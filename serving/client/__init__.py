"""Client of TensorFlow Serving that depends on numpy, grpcio and protobuf only."""

from __future__ import annotations

from serving.client.answers import (
    Answer,
    Classification,
    Entity,
    Labelling,
    Regression,
    SearchResult,
)
from serving.client.async_client import AsyncClient
from serving.client.client import Client
from serving.client.errors import (
    AccessDenied,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerFault,
    ServerOverloaded,
    ServerUnavailable,
)
from serving.client.faiss_index import FaissIndex, open_index
from serving.client.model_metadata import ModelMetadata, Signature, TensorSpec, Version

__all__ = [
    "AccessDenied",
    "Answer",
    "AsyncClient",
    "Classification",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "Entity",
    "FaissIndex",
    "InvalidRequest",
    "Labelling",
    "ModelMetadata",
    "ModelNotFound",
    "Regression",
    "RequestCancelled",
    "SearchResult",
    "ServerFault",
    "ServerOverloaded",
    "ServerUnavailable",
    "Signature",
    "TensorSpec",
    "Version",
    "open_index",
]
