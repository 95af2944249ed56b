"""`tfpipe.train`, telling every step, so that a test can end it at any of them."""

import sys

from tfpipe import train
from tfpipe.training import progress

if __name__ == "__main__":
    progress.PLAIN_LINES = 1_000_000
    sys.exit(train.main(sys.argv[1:]))
