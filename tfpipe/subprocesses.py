"""Child processes that end with the thread that started them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# A new process runs this before it executes its command: from then on the kernel kills it when the
# thread that started it ends for any reason, also by SIGKILL, which cannot be handled. It is killed
# by SIGKILL, because its pipe has no reader any more and its next output would fail.
# Popen's preexec_fn could do the same, but may deadlock where there are threads.
BIND = """
import ctypes, os, signal, sys
starter, *command = sys.argv[1:]
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
if os.getppid() != int(starter):
    sys.exit("the process that started this one has ended")
os.execv(command[0], command)
"""


def bound(command: Sequence[str]) -> list[str]:
    """Wrap a command so that its process ends with the calling thread; on Linux only.

    Args:
        command: A program's full path and its arguments.

    Returns:
        The command to start; `command` itself on other systems.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", BIND, str(os.getpid()), *command]
