"""`python -m tfpipe VERB ...`: the console script `tfpipe`."""

from tfpipe.cli import run_console_script

run_console_script()
