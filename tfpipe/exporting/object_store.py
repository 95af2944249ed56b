"""Files in an object store, by URL, through TensorFlow's file systems: gs://, others by plug-in."""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.locations import is_url


def refuse_unknown_store(url: str) -> None:
    """Raise UserError where a URL names no folder, or TensorFlow has no file system for it."""
    if not re.fullmatch(r"[\w+.-]+://[^/]+(/[^/]+)+", url):
        raise UserError(
            "the URL names no folder in a store",
            url,
            "give gs://BUCKET/FOLDER/NAME, or the path of a folder",
        )
    scheme = url.partition("://")[0]
    if scheme not in tf.io.gfile.get_registered_schemes():
        # Its import registers more schemes.
        with suppress(ImportError):
            importlib.import_module("tensorflow_io")
    known = tf.io.gfile.get_registered_schemes()
    if scheme not in known:
        remote = ", ".join(f"{name}://" for name in sorted({*known} - {"", "file", "ram"}))
        raise UserError(
            f"TensorFlow has no file system for {scheme}://",
            f"{url}; known: {remote}",
            f"install the release of tensorflow-io made for TensorFlow {tf.__version__}, or export"
            " to a folder and copy it with the store's own tool, saved_model.pb last",
        )


@contextmanager
def store_errors(url: str, wrong: str, fix: str) -> Iterator[None]:
    """Turn TensorFlow's errors about a store into UserError."""
    try:
        yield
    except tf.errors.OpError as error:
        (message, *_) = (error.message or type(error).__name__).splitlines()
        raise UserError(wrong, f"{url}: {message}", fix) from None


@contextmanager
def local_copy(version: str | Path, only: Collection[str] = ()) -> Iterator[Path]:
    """Yield the local folder of a version: of a URL, a copy that is removed after the block.

    Args:
        version: Path or URL.
        only: Names of the files to copy; all by default.

    Raises:
        UserError: The store cannot be read.
    """
    if isinstance(version, Path) or not is_url(version):
        yield Path(version)
        return
    with tempfile.TemporaryDirectory() as folder:
        with store_errors(version, "the version cannot be read", "see that you may read the store"):
            for name in list_files(version):
                if not only or name in only:
                    copy(f"{version}/{name}", f"{folder}/{name}")
        yield Path(folder)


def write(url: str, content: str) -> None:
    """Write a small object that does not exist yet; raises OpError."""
    tf.io.gfile.makedirs(url.rpartition("/")[0])
    with tf.io.gfile.GFile(url, "w") as file:
        file.write(content)


def copy(source: str, target: str) -> None:
    """Copy a file that does not exist yet; raises OpError."""
    tf.io.gfile.makedirs(target.rpartition("/")[0])
    tf.io.gfile.copy(source, target)


def move(source: str, target: str) -> None:
    """Rename a file within a store, to a name that does not exist yet; raises OpError."""
    tf.io.gfile.makedirs(target.rpartition("/")[0])
    tf.io.gfile.rename(source, target)


def remove_tree(folder: str) -> None:
    """Remove a folder if it exists; raises OpError."""
    with suppress(tf.errors.NotFoundError):
        tf.io.gfile.rmtree(folder)


def list_names(folder: str) -> list[str]:
    """Return the names in a folder, none where it does not exist; raises OpError."""
    try:
        return [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    except tf.errors.NotFoundError:
        # Also raised by a store that does not answer: `exists` raises for it.
        if tf.io.gfile.exists(folder):
            raise
        return []


def list_files(folder: str) -> list[str]:
    """Return the names of the files below a folder, relative to it."""
    return [
        f"{root.rstrip('/')}/{name}".removeprefix(f"{folder}/")
        for root, _, names in tf.io.gfile.walk(folder)
        for name in names
    ]
