"""Processes that do not outlive the one that started them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# A new process runs this before it becomes what it is for: from then on the kernel kills it when
# the thread that started it is gone, however that went (SIGKILL lets nobody pass anything on). By
# SIGKILL, for nobody reads the process's pipe any more: at its next line it would break off.
# Popen's preexec_fn could do the same, but may lock up where there are threads.
BIND = """
import ctypes, os, signal, sys
starter, *command = sys.argv[1:]
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
if os.getppid() != int(starter):
    sys.exit("the process that started this one is gone")
os.execv(command[0], command)
"""


def bound(command: Sequence[str]) -> list[str]:
    """The command, run so that it ends with the calling thread where the system can do that.

    command: a program's full path and its arguments.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", BIND, str(os.getpid()), *command]
