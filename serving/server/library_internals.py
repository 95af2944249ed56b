"""Every private name of TensorFlow that the server uses, each behind a function.

A private name can change with any release. Here each has its reason and the release in which it was
seen; `tests/test_library_internals.py` tests what each does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.python.client import pywrap_tf_session


def extend_graph(session: Any) -> None:
    """Give the session the operations of its graph; runs then do not look for added ones.

    TensorFlow 2.21: in public only Session.run does it, each time. Without it every run of
    `run_session` looks for them under a lock, which concurrent requests would wait for.
    """
    session._extend_graph()


def tensor_handle(tensor: Any) -> Any:
    """Return a graph tensor's handle in the C++ API.

    TensorFlow 2.21: no public name returns it, and `run_session` takes nothing else.
    """
    return tensor._as_tf_output()


def run_session(
    session: Any, options: Any, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any]
) -> list[Any]:
    """Run a session's graph through the C++ API.

    TensorFlow 2.21: the public Session.run casts dtypes, compares shapes with errors of its own,
    and takes 0.2 ms longer. Without it, error codes and messages differ from those of TensorFlow
    Serving.

    Args:
        session: tf.compat.v1.Session, extended by `extend_graph`.
        options: tf.compat.v1.RunOptions.
        feeds: Arrays by tensor handle.
        fetches: Tensor handles.

    Returns:
        Arrays, or scalars or bytes for rank 0.

    Raises:
        tf.errors.OpError: Of the runtime.
        UnicodeDecodeError: The runtime's message is not UTF-8.
    """
    buffer = pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
    try:
        values: list[Any] = session._call_tf_sessionrun(buffer, feeds, list(fetches), [], None)
    finally:
        pywrap_tf_session.TF_DeleteBuffer(buffer)
    return values
