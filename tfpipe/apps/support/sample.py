"""The shipped sample as served models: trained, exported, indexed and tuned at the first start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tfpipe.apps.support.decision import Settings, write_settings
from tfpipe.cli import say
from tfpipe.config import SupportConfig
from tfpipe.errors import UserError
from tfpipe.subprocesses import bound

MODULE = "tfpipe.apps.support"
TABLES = Path(__file__).parent / "tables"
MINUTES = "a few minutes for the small model, and up to half an hour for the multilingual one"


def make_sample(config: SupportConfig) -> dict[str, Any]:
    """Make what is missing of the sample's models in `--data-dir`.

    Returns:
        The settings of the configuration that serve them.

    Raises:
        UserError: A step failed; what earlier steps made is kept for the next start.
    """
    folder = Path(config.data_dir)
    run, models = folder / "sample-run", folder / "models"
    intents, faq = models / "intents", models / "faq"
    answers = f"{TABLES / 'answers.tsv'},{faq}"
    steps = (
        (run / "report.html", "tfpipe.train", _training(config, run)),
        (intents / "1", "tfpipe.export", [str(run), "--to", str(intents), "--no-measure-serving"]),
        (faq / "1", "tfpipe.index", _indexing(intents, faq)),
        (folder / "settings.json", MODULE, _tuning(config, run, intents, answers)),
    )
    missing = [step for step in steps if not step[0].exists()]
    if missing:
        say(f"the sample's models are made once, in {folder}: {MINUTES}")
    for number, (_, module, arguments) in enumerate(missing, 1):
        began = time.monotonic()
        command = [sys.executable, "-m", module, *arguments]
        say(f"step {number} of {len(missing)}: python -m {' '.join([module, *arguments])}")
        status = subprocess.run(bound(command), stdout=subprocess.DEVNULL).returncode
        if status and module == MODULE:
            say("note: the sample's model is too poor to tune; the default limits are used")
            write_settings(folder / "settings.json", vars(Settings()))
        elif status:
            raise UserError(
                "the sample's models cannot be made",
                f"{module} ended with {status}; see its error above",
                "correct it and start again: finished steps are kept",
            )
        say(f"step {number} took {time.monotonic() - began:.0f} s")
    return {"intents": str(intents), "answers": answers}


def _training(config: SupportConfig, run: Path) -> list[str]:
    again = ["--resume"] if (run / "checkpoints").exists() else []
    return ["--model", config.model, "--output", str(run), *again]


def _indexing(intents: Path, faq: Path) -> list[str]:
    data, questions = str(TABLES / "faq.tsv"), str(TABLES / "questions.tsv")
    index = [str(intents / "1"), "--data", data, "--to", str(faq), "--tune", questions]
    return [*index, "--no-measure-serving"]


def _tuning(config: SupportConfig, run: Path, intents: Path, answers: str) -> list[str]:
    models = ["--intents", str(intents), "--answers", answers]
    return ["tune", *models, "--data", str(run / "dev.jsonl"), "--data-dir", config.data_dir]
