"""Several trainings of one configuration: with other seeds, or on other folds of the data.

OUTPUT/plan.json        what is trained; the same command continues it
OUTPUT/seed-N, fold-N   the runs
OUTPUT/summary.json     mean and spread of every metric over the finished runs
OUTPUT/predictions.tsv  of folds: the answer to each row, of the model that has not seen it
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tfpipe.config import RepeatConfig, TrainConfig
from tfpipe.errors import Interrupted, UserError
from tfpipe.fold_answers import Folds, cut, write_answers
from tfpipe.io.atomic import write_text
from tfpipe.model.choice import choose_model
from tfpipe.run_folder import Run
from tfpipe.separate_training import train_separately
from tfpipe.training.preemption import SignalHandler

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """The finished runs of several trainings.

    Attributes:
        folder: Their folder.
        runs: The folders of the finished ones.
        figures: By metric, such as `dev.accuracy`: `mean`, `std` (of a sample; 0 of one run),
            `min`, `max`, and `values` in the order of the runs.
    """

    folder: Path
    runs: Sequence[Path]
    figures: Mapping[str, Mapping[str, Any]]

    def lines(self) -> list[str]:
        """Return the table: a metric a line, with tabs between the columns."""
        rows = ["metric\tmean\tstd\tmin\tmax"]
        for name, one in self.figures.items():
            values = (one[column] for column in ("mean", "std", "min", "max"))
            rows.append("\t".join([name, *(f"{value:.4f}" for value in values)]))
        return rows


def repeat(config: TrainConfig, repeated: RepeatConfig) -> Summary:
    """Train several times, each time in a process of its own.

    Raises:
        UserError: The folder has other trainings, the data cannot be cut, or a training failed.
        Interrupted: After SIGINT or SIGTERM; the same configuration continues.
    """
    default = f"runs/{config.task}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(config.output or default)
    folds = cut(config, repeated.fold_count) if repeated.fold_count else None
    if folds is not None:
        # All folds train one model.
        config = replace(config, model=choose_model(config.model, folds.examples).name)
    _begin(folder, config, repeated, folds)
    runs: list[Run] = []
    for number, one in enumerate(_configurations(config, repeated, folder, folds), start=1):
        run = Run(Path(str(one.output)))
        logger.info(f"training {number}: {run.folder}{' is finished' if run.finished else ''}")
        if not run.finished:
            _train(one, run, folder, runs)
        runs.append(Run(run.folder))
        summary = summarise(folder, runs)
    if folds is not None:
        write_answers(folder, runs, folds, bool(repeated.find_label_errors))
    return summary


def _begin(folder: Path, config: TrainConfig, repeated: RepeatConfig, folds: Folds | None) -> None:
    """Write the plan and the data; raises UserError where the folder has another plan."""
    settings = asdict(replace(config, output=None, json=False))
    plan: dict[str, Any] = {
        "seeds": repeated.seeds,
        "folds": repeated.fold_count,
        "settings": settings,
    }
    plan |= {"data": folds.digest if folds else None}
    file = folder / "plan.json"
    if file.is_file():
        stored = json.loads(file.read_text(encoding="utf-8"))
        before, now = (one.pop("settings") | one for one in (stored, dict(plan)))
        changed = [name for name, value in now.items() if before.get(name) != value]
        if changed:
            name = changed[0]
            raise UserError(
                "the folder has trainings of another plan",
                f"{folder}: {name} {before.get(name)!r}, now {now[name]!r}",
                "give the same settings and data to continue, or another --output",
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            "the output folder exists and is not empty", str(folder), "give another --output"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if folds is not None:
        folds.write(folder)
    write_text(file, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def _configurations(
    config: TrainConfig, repeated: RepeatConfig, folder: Path, folds: Folds | None
) -> list[TrainConfig]:
    config = replace(config, split_seed=config.dev_seed, json=False)
    if folds is None:
        return [
            replace(config, seed=config.seed + number, output=str(folder / f"seed-{number + 1}"))
            for number in range(repeated.seeds or 0)
        ]
    return [folds.configuration(config, number, folder) for number in range(folds.count)]


def _train(config: TrainConfig, run: Run, folder: Path, done: Sequence[Run]) -> None:
    """Train or resume one run; raises UserError and Interrupted."""
    with SignalHandler() as stop:
        status = train_separately(config, folder / f"{run.folder.name}.yaml", stop)
    if Run(run.folder).finished:
        return
    if stop.signal:
        raise Interrupted(
            128 + stop.signal,
            f"stopped: {len(done)} finished trainings are kept in {folder}; the same command"
            f" with --output {folder} continues",
        )
    raise UserError(
        "a training failed",
        f"{run.folder}: tfpipe.train ended with status {status}; what it said is above",
        f"correct that, then run the same command with --output {folder}",
    )


def summarise(folder: Path, runs: Sequence[Run]) -> Summary:
    """Compute mean and spread over finished runs, and write summary.json."""
    found = [
        {
            f"{part}.{name}": v
            for part in ("dev", "test")
            for name, v in run.metrics.get(part, {}).items()
        }
        for run in runs
    ]
    figures = {}
    for name in found[0]:
        values = [one[name] for one in found if name in one]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        figures[name] = {
            "mean": statistics.fmean(values),
            "std": spread,
            "min": min(values),
            "max": max(values),
            "values": values,
        }
    summary = Summary(folder, [run.folder for run in runs], figures)
    content = {"runs": [str(one) for one in summary.runs], "figures": figures}
    write_text(folder / "summary.json", json.dumps(content, indent=2) + "\n")
    return summary
