"""Checks of the versions that are published already: their labels, and which of them are pinned."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError, did_you_mean
from tfpipe.exporting.info import INFO, labels_of_adapters, read_info
from tfpipe.exporting.local_versions import PublishTarget
from tfpipe.exporting.object_store import local_copy
from tfpipe.locations import SAVED_MODEL
from tfpipe.text_display import list_few

logger = logging.getLogger(__name__)

LABELS_FIX = (
    "clients that count columns would read wrong labels: train with the old labels, export under"
    " another name, or add --allow-new-labels"
)


def remove_old(
    target: PublishTarget, keep: int | None, named: frozenset[int], new: Path | str
) -> Sequence[int]:
    """Remove old versions after a new one was published; says what was removed, or could not be.

    Args:
        target: FOLDER/NAME.
        keep: The newest versions to keep; None for all.
        named: Numbers of versions to keep besides.
        new: Folder or URL of the new one.

    Returns:
        The removed numbers.
    """
    if keep is None:
        return ()
    try:
        removed = target.remove_old(keep, named, int(Path(new).name))
    except OSError as error:
        # The new version is published all the same.
        logger.info(f"old versions could not be removed: {error}")
        return ()
    logger.info(f"removed old versions: {', '.join(map(str, removed)) or 'none'}")
    return removed


def refuse_new_labels(target: PublishTarget, labels: Sequence[str]) -> None:
    """Check that the target's highest version has the same labels in the same order.

    A target without a version accepts any labels.

    Raises:
        UserError: The labels differ, or those of the version cannot be read.
    """
    before, info = _read_before(target)
    if before is None:
        return
    known = info.get("labels")
    if not isinstance(known, list):
        raise UserError(
            "the labels of the version before cannot be read",
            f"no label names in the info of {before}",
            "export under another name, or add --allow-new-labels",
        )
    _refuse_change(str(before), known, list(labels))


def refuse_new_adapters(target: PublishTarget, labels: Mapping[str, Sequence[str]]) -> None:
    """Check that the target's highest version has no other adapters, and the same labels of each.

    New adapters, and a target without a version, are accepted.

    Args:
        target: FOLDER/NAME.
        labels: Of each adapter by its name.

    Raises:
        UserError: An adapter is missing, its labels differ, or the version has no adapters.
    """
    before, info = _read_before(target)
    if before is None:
        return
    known = labels_of_adapters(info)
    if not known:
        raise UserError(
            f"{before} has no adapters",
            "it is the export of one run",
            "export under another name, or add --allow-new-labels",
        )
    if gone := [name for name in known if name not in labels]:
        raise UserError(
            f"adapters of {before} are missing",
            list_few(gone),
            "name their runs, too, export under another name, or add --allow-new-labels",
        )
    for name, names in known.items():
        _refuse_change(f"adapter {name} of {before}", list(names), list(labels[name]))


def _read_before(target: PublishTarget) -> tuple[Path | str | None, dict[str, Any]]:
    """Return the target's highest version, None without one, and its info."""
    versions = target.list_versions()
    if not versions:
        return None, {}
    before = versions[max(versions)]
    with local_copy(before, only=(INFO.as_posix(), SAVED_MODEL)) as folder:
        return before, read_info(folder)


def _refuse_change(owner: str, known: list[str], labels: list[str]) -> None:
    if known != labels:
        raise UserError(
            f"the labels differ from those of {owner}", _describe_change(known, labels), LABELS_FIX
        )


def _describe_change(before: list[str], now: list[str]) -> str:
    new, gone = [n for n in now if n not in before], [n for n in before if n not in now]
    parts = [f"{what} {list_few(names)}" for what, names in (("new", new), ("gone", gone)) if names]
    if not parts:
        column = next(i for i, pair in enumerate(zip(before, now, strict=True)) if len({*pair}) > 1)
        return f"another order: column {column} was {before[column]!r} and is {now[column]!r}"
    return f"{len(before)} labels before, {len(now)} now; {'; '.join(parts)}"


def read_named_versions(config_file: str, base: Path | str) -> frozenset[int]:
    """Return the versions of FOLDER/NAME that a server config labels or asks for by number.

    These are kept when old versions are removed.

    Args:
        config_file: A config in TensorFlow Serving's text format (--model_config_file).
        base: FOLDER/NAME, or its URL; a model of the config is meant when its name or its base
            path is the same.

    Raises:
        UserError: The file cannot be read, or has no such model.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    try:
        text = Path(config_file).read_text(encoding="utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise UserError(
            "the file of --model-config cannot be read",
            f"{config_file}: {getattr(error, 'strerror', None) or error}",
            "give the file that the server is started with as --model_config_file",
        ) from None
    models = config.model_config_list.config
    name = Path(base).name
    ours = [m for m in models if m.name == name or _is_same_folder(m.base_path, base)]
    if not ours:
        names = [model.name for model in models]
        raise UserError(
            f"--model-config has no model {name!r}",
            f"{config_file}: {', '.join(names) or 'no models'}",
            f"{did_you_mean(name, names)}name the model, or its base path, as --to does",
        )
    named: set[int] = set()
    for model in ours:
        named.update(model.version_labels.values())
        named.update(model.model_version_policy.specific.versions)
    return frozenset(named)


def _is_same_folder(base_path: str, base: Path | str) -> bool:
    if isinstance(base, str):
        return base_path.rstrip("/") == base
    return Path(base_path) == base.resolve()
