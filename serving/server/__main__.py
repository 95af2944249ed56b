"""`python -m serving.server`."""

import os
import sys

from serving.server.command import main

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow takes seconds to tear an interpreter down, longer than an orchestrator may wait,
    # and nothing that was promised is left to do.
    os._exit(status)
