"""Pages of the documentation: their code blocks run as a session, or parsed as command lines."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from serving.client.cli.parser import build_parser
from serving.server.flags import check_combinations, parse_flags
from tfpipe.cli import owned_fields, parse, parser_for
from tfpipe.config import (
    AskConfig,
    CleanConfig,
    CompareConfig,
    CompressConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    IndexConfig,
    LaunchConfig,
    PredictConfig,
    PretrainConfig,
    ProbeConfig,
    PseudoConfig,
    RepeatConfig,
    ReportConfig,
    RunsConfig,
    SoupConfig,
    SupportConfig,
    SupportExportConfig,
    SupportTuneConfig,
    TrainConfig,
)
from tfpipe.train import parse_train
from tuning.config import SearchConfig, training_fields
from tuning.search import parse_search

ROOT = Path(__file__).parents[2]
CONFIGS: dict[str, type] = {
    "tfpipe.train": TrainConfig,
    "tfpipe.evaluate": EvaluateConfig,
    "tfpipe.predict": PredictConfig,
    "tfpipe.clean": CleanConfig,
    "tfpipe.pretrain": PretrainConfig,
    "tfpipe.probe": ProbeConfig,
    "tfpipe.pseudo": PseudoConfig,
    "tfpipe.soup": SoupConfig,
    "tfpipe.compress": CompressConfig,
    "tfpipe.compare": CompareConfig,
    "tfpipe.ask": AskConfig,
    "tfpipe.runs": RunsConfig,
    "tfpipe.report": ReportConfig,
    "tfpipe.export": ExportConfig,
    "tfpipe.index": IndexConfig,
    "tfpipe.doctor": DoctorConfig,
    "tfpipe.apps.support": SupportConfig,
    "tfpipe.apps.support tune": SupportTuneConfig,
    "tfpipe.apps.support export": SupportExportConfig,
}


def read_blocks(page: Path) -> list[tuple[str, str]]:
    """The code blocks of a page, each with its language; `console` blocks are shown, not run."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(bash|python|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run_blocks(
    page: Path, folder: Path, port: int = 8500, training: str = "", exporting: str = ""
) -> subprocess.CompletedProcess:
    """Run the blocks as one session of bash in a folder, with this Python; a server is job 1.

    port: Takes the place of the port 8500 in the page.
    training: Options of every training beside those in the page.
    exporting: Options of every export beside those in the page.
    """
    script = ["set -em"]
    for number, (kind, text) in enumerate(read_blocks(page)):
        text = text.replace("8500", str(port))
        for verb, options in (("train", training), ("export", exporting)):
            text = text.replace(f" -m tfpipe.{verb} ", f" -m tfpipe.{verb} {options} ")
        if kind == "bash":
            # The server is stopped at the end: blocks behind this one may ask it, too.
            script.append(text.replace("kill %1", ""))
        elif kind == "python":
            (folder / f"block{number}.py").write_text(text, encoding="utf-8")
            script.append(f"python block{number}.py")
    script.append("kill %1; wait %1")
    bash = shutil.which("bash")
    assert bash, "the pages' commands are written for bash"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "errors.txt").open("w") as errors:
        return subprocess.run(
            [bash, "-c", "\n".join(script)],
            cwd=folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=1200,
        )


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def read_commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Every `python -m MODULE ARGUMENTS` of a page's blocks whose module is ours."""
    for kind, text in read_blocks(page):
        lines = "" if kind == "python" else text.replace("\\\n", " ")
        for command in re.findall(r"python -m ((?:tfpipe|serving|tuning)\..*)", lines):
            words = shlex.shlex(command.replace("$!", "1"), posix=True, punctuation_chars=True)
            words.whitespace_split = True
            module, *arguments = words
            ends = [n for n, word in enumerate(arguments) if re.fullmatch("[&|;<>()]+", word)]
            if "..." not in arguments:
                yield module, arguments[: min(ends, default=None)]


def check_command(module: str, arguments: list[str]) -> None:
    """Parse the arguments as the command does; raises what it raises, or exits."""
    if "--config" in arguments:
        # The file is one that earlier commands of the page write.
        place = arguments.index("--config")
        arguments = arguments[:place] + arguments[place + 2 :]
    if module == "serving.client":
        build_parser().parse_args(arguments)
    elif module == "serving.server":
        check_combinations(parse_flags(arguments))
    elif module == "tuning.search":
        parse_search(parser_for(SearchConfig, module, "", "", training_fields()), arguments)
    elif module == "tfpipe.launch":
        split = arguments.index("--")
        parse(parser_for(LaunchConfig, module, "", ""), LaunchConfig, arguments[:split])
        check_command("tfpipe.train", arguments[split + 1 :])
    elif module == "tfpipe.train":
        more = owned_fields(RepeatConfig)
        parse_train(parser_for(TrainConfig, module, "", "", more), arguments)
    else:
        if f"{module} {arguments[0] if arguments else ''}" in CONFIGS:
            module, arguments = f"{module} {arguments[0]}", arguments[1:]
        config = CONFIGS[module]
        parse(parser_for(config, module, "", ""), config, arguments)
