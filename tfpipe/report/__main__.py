"""`python -m tfpipe.report RUN`: see tfpipe.rewrite_report."""

from tfpipe.process import run_as_process
from tfpipe.rewrite_report import main

if __name__ == "__main__":
    run_as_process(main)
