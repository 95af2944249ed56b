"""`tfpipe.train`, telling every step, so that a test can end it at any of them.

What determinism costs is not measured, for that takes as long as some epochs.
"""

import sys

from tfpipe import train
from tfpipe.training import progress, trainer

if __name__ == "__main__":
    progress.PLAIN_LINES = 1_000_000
    trainer.measure_determinism = lambda *_: "deterministic"
    sys.exit(train.main(sys.argv[1:]))
