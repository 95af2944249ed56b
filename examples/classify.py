"""Classify texts from arguments, or from the lines of standard input, with a served model.

    python examples/classify.py "Where is my parcel?" "My card was charged twice"

Environment variables: TARGET (localhost:8500) and MODEL (support).
"""

from __future__ import annotations

import os
import sys

from serving.client import Client, ClientError

TARGET = os.environ.get("TARGET", "localhost:8500")
MODEL = os.environ.get("MODEL", "support")


def main() -> int:
    """Classify the arguments, or the lines of standard input; return the exit status."""
    texts = sys.argv[1:] or [line.rstrip("\n") for line in sys.stdin]
    try:
        # One client for the whole program: it keeps its connection, and threads may share it.
        with Client(TARGET, model=MODEL, timeout=10) as client:
            client.wait_until_ready(timeout=60)
            for text, answer in zip(texts, client.classify(texts), strict=True):
                print(f"{answer.label}\t{answer.score:.4f}\t{text}")
    except ClientError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
