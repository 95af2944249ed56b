"""Entry point of `python -m tfpipe.apps.support`."""

from tfpipe.apps.support.command import main
from tfpipe.process import run_as_process

if __name__ == "__main__":
    run_as_process(main)
