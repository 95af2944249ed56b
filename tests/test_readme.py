"""The README's commands, run in an empty folder in the order in which they stand."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python|console)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_named_options_exist() -> None:
    """Options of blocks that are shown and not run, and of all that the text names."""
    from serving.client.cli.parser import build_parser
    from serving.server.flags import ServerFlags
    from tfpipe.cli import parser_for
    from tfpipe.config import ExportConfig, PredictConfig, TrainConfig
    from tuning.config import SearchConfig, training_fields

    searched = parser_for(SearchConfig, "tuning.search", "", "", training_fields()).format_help()
    known = {"tuning.search": set(re.findall(r"--[a-z-]+", searched))}
    for module, config in (
        ("tfpipe.train", TrainConfig),
        ("tfpipe.export", ExportConfig),
        ("tfpipe.predict", PredictConfig),
    ):
        known[module] = set(
            re.findall(r"--[a-z-]+", parser_for(config, module, "", "").format_help())
        )
    commands = "\n".join(text for _, text in BLOCKS).replace("\\\n", " ").splitlines()
    for line in commands:
        for module, options in known.items():
            if f" {module} " in line:
                assert set(re.findall(r" (--[a-z-]+)", line)) <= options, line
    verbs = next(action for action in build_parser()._actions if action.choices)
    known["client"] = {
        o for p in dict(verbs.choices or {}).values() for o in p._option_string_actions
    }
    known["server"] = {f"--{field.name}" for field in dataclasses.fields(ServerFlags)}
    for option in re.findall(r"`(--[a-z_-]+)", README):
        assert any(option in options for options in known.values()) or option == "--json", option
    page = (ROOT / "tuning" / "README.md").read_text(encoding="utf-8")
    for option in re.findall(r"--[a-z][a-z-]+", page):
        assert option in searched or option in ("--config", "--logdir"), option


def test_flags_of_the_serving_page_exist() -> None:
    from serving.client.cli.parser import build_parser
    from serving.server.flags import FIXED_FLAGS, ServerFlags

    page = (ROOT / "serving" / "README.md").read_text(encoding="utf-8")
    known = {f"--{field.name}" for field in dataclasses.fields(ServerFlags)}
    known |= {"--help", *(f"--{name}" for name in FIXED_FLAGS)}
    verbs = next(action for action in build_parser()._actions if action.choices)
    for parser in dict(verbs.choices or {}).values():
        known |= set(parser._option_string_actions)
    for flag in re.findall(r"--[a-z][a-z_-]+", page):
        assert flag in known, flag


@pytest.mark.readme
def test_commands_run(tmp_path: Path) -> None:
    """bash and python blocks as one session; `console` blocks are shown only."""
    script = ["set -em"]
    for number, (kind, text) in enumerate(BLOCKS):
        if kind == "bash":
            # The shutdown of the served model comes at the end: python blocks ask it too.
            script.append(text.replace("kill %1", ""))
        elif kind == "python":
            (tmp_path / f"block{number}.py").write_text(text, encoding="utf-8")
            script.append(f"python block{number}.py")
    script.append("kill %1; wait %1")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    bash = shutil.which("bash")
    assert bash, "the README's commands are written for bash"
    with (tmp_path / "errors.txt").open("w") as errors:
        done = subprocess.run(
            [bash, "-c", "\n".join(script)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=1200,
        )
    reported = (tmp_path / "errors.txt").read_text()
    assert done.returncode == 0, reported
    assert '"accuracy"' in done.stdout  # evaluate
    assert "models/support/1" in done.stdout  # export
    assert "serving support version 1" in done.stdout  # server
    assert "Where is my parcel?" in done.stdout  # client
    assert (tmp_path / "runs" / "support" / "report.html").is_file()
