"""Publishes a version over and over, each time killed at another touch of the file system.

    python tests/kill_publish.py FOLDER

For each moment FOLDER/K gets versions 1 to 3, and a process that publishes the next one and keeps
two is killed by SIGKILL before its K-th touch. The last of them comes to its end. Prints their
number. No TensorFlow: what is published are three small files.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tfpipe.exporting.local_versions import LocalVersions

FILES = ("saved_model.pb", "variables/variables.index", "assets.extra/parity.json")
TOUCHES = ("open", "os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.scandir", "os.listdir")


def write_version(folder: Path, content: str) -> None:
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def publish_one(base: Path) -> None:
    versions = LocalVersions(base)
    with versions.folder_for_export() as folder:
        write_version(folder, "new")
        place = versions.publish(folder, None)
    versions.remove_old(2, frozenset(), int(place.name))


def killed_at(base: Path, moment: int) -> bool:
    """Whether a child that publishes was killed before its touch number `moment`."""
    child = os.fork()
    if not child:
        touches = 0

        def count(event: str, arguments: tuple) -> None:
            nonlocal touches
            if event in TOUCHES:
                touches += 1
                if touches > moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.addaudithook(count)
            publish_one(base)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def main(folder: str) -> None:
    moment = 0
    while True:
        base = Path(folder, str(moment))
        for number in (1, 2, 3):
            write_version(base / str(number), "old")
        if not killed_at(base, moment):
            break
        moment += 1
    print(moment)


if __name__ == "__main__":
    main(sys.argv[1])
