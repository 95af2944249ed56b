"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tfpipe.subprocesses import bound


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_process_whose_starter_is_gone_already_does_not_begin() -> None:
    begin = bound([sys.executable, "-c", "print('here')"])
    assert subprocess.run(begin, capture_output=True, text=True).stdout == "here\n"
    begin[begin.index(str(os.getpid()))] = "0"
    orphan = subprocess.run(begin, capture_output=True, text=True)
    assert orphan.returncode == 1 and orphan.stdout == "" and "has ended" in orphan.stderr
