"""Entry point of `python -m serving.server`."""

import os
import sys

from serving.server.cli import main

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # With TensorFlow loaded, interpreter shutdown takes seconds, longer than an orchestrator may
    # wait, and all work is done.
    os._exit(status)
