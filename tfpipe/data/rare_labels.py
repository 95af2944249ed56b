"""Label names that train and the other files do not share: left out, kept or respelled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tfpipe.data.dev_split import find_lone
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules, find_unknown, parsed_labels
from tfpipe.data.near_labels import find_near_labels
from tfpipe.data.row_errors import RowsError, RowsOf
from tfpipe.errors import UserError
from tfpipe.text_display import list_few

SHOWN = 20
# Numbers as computers write them: 01 is a name.
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


def fit_train(train: Examples, rare: str, cut: bool, rules: type[LabelRules]) -> Examples:
    """Refuse, leave out or keep the labels of train that cannot be in dev, too.

    Args:
        train: The examples to train on, with parsed labels.
        rare: `error`, `drop` or `keep`.
        cut: Whether dev is cut off train, for which a label needs two different texts.
        rules: The label rules of the task.

    Raises:
        UserError: With `error`, a task of one label a row has a label in one row.
    """
    if not rules.labels_from_data or (rare == "error" and not rules.one_name):
        return train
    counts = Counter(name for label in train.parsed or () for name in rules.names_in(label))
    single = sorted(name for name, count in counts.items() if count == 1)
    if rare == "error":
        if single and len(counts) > 1:
            raise _single_error(train, single, rules)
        return train
    lone = find_lone(train, rules) if cut and rules.one_name else []
    what = "text" if {*lone} - {*single} else "row"
    names = sorted({*single, *lone})
    if not names:
        return train
    if rare == "drop":
        return _without(train, dict.fromkeys(names), f"labels of one {what}", rules)
    where = ", which the dev cut cannot check" if cut else ""
    kept = f"--rare-labels keep: labels of one {what} of {train.path}{where}"
    return replace(train, decisions=[*train.decisions, f"{kept}: {list_few(names, SHOWN)}"])


def fit_names(
    examples: Examples, known: Collection[str], rare: str, rules: type[LabelRules]
) -> Examples:
    """Respell labels that are the same numbers as known ones, and leave out those that are unknown.

    Those that are unknown are left where they are an error, for the task to refuse.

    Args:
        examples: Examples to evaluate on, with parsed labels.
        known: The names that the model can answer.
        rare: `error`, `drop` or `keep`.
        rules: The label rules of the task.
    """
    unknown = [*find_unknown(examples, known, rules)]
    if not unknown:
        return examples
    same = same_values(unknown, known)
    if len(same) == len(unknown):
        sentence = f"{examples.path}: labels {list_few(unknown)} are read as"
        sentence += f" {list_few([same[name] for name in unknown])}, as train writes them"
        respelled, _ = _rewrite(examples, same, rules)
        return replace(respelled, decisions=[*examples.decisions, sentence])
    if rare == "error":
        return examples
    return _without(examples, dict.fromkeys(unknown), "labels that train lacks", rules, rare)


def same_values(names: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return the known name that is the same number or truth value, of the names that have one."""
    by_value: dict[float | str, list[str]] = {}
    for name in known:
        by_value.setdefault(_value(name), []).append(name)
    equal = {name: by_value.get(_value(name), []) for name in names}
    return {name: found[0] for name, found in equal.items() if len(found) == 1}


def _value(name: str) -> float | str:
    if NUMBER.fullmatch(name):
        return float(name)
    return name.casefold() if name.casefold() in ("true", "false") else name


def _single_error(train: Examples, single: Sequence[str], rules: type[LabelRules]) -> UserError:
    pairs = find_near_labels(train.parsed or (), rules.names_in)
    near = [str(pair) for pair in pairs if pair.rare.count == 1]
    more = f"; {near[0]}" if near else ""
    labels = [{*rules.names_in(label)} for label in train.parsed or ()]
    rows = [row for row, names in enumerate(labels) if names & {*single}]
    shown = [repr(rules.show_label(train, row)) for row in rows[:SHOWN]]
    return RowsError(
        "single_label",
        "a label that occurs once cannot be learnt and checked",
        f"{list_few(single)} in {train.path}{more}; rows",
        "add examples of it, merge it with another label, or remove the row; --rare-labels drop"
        " leaves it out, --rare-labels keep learns it unchecked",
        RowsOf(train, rows, shown),
    )


def _without(
    examples: Examples,
    names: Mapping[str, None],
    what: str,
    rules: type[LabelRules],
    rare: str = "drop",
) -> Examples:
    counts = Counter(
        name
        for label in parsed_labels(examples, rules)
        for name in rules.names_in(label)
        if name in names
    )
    shown = list_few([*counts.items()], SHOWN, lambda item: f"{item[0]!r} ({item[1]:,})")
    rest, touched = _rewrite(examples, names, rules)
    rows = f"{touched:,} row{'s' if touched > 1 else ''} of {examples.path}"
    done = f"took from {rows} the" if len(rest) == len(examples) else f"left out {rows} with"
    sentence = f"--rare-labels {rare} {done} {what}: {shown}"
    if not len(rest):
        raise UserError("no row is left", sentence, "give a file with labels that train has")
    return replace(rest, decisions=[*examples.decisions, sentence])


def _rewrite(
    examples: Examples, names: Mapping[str, str | None], rules: type[LabelRules]
) -> tuple[Examples, int]:
    """Replace names, and take those out that are replaced by None.

    Returns:
        The examples that are left, and the number of those that were changed or left out.
    """
    rows, labels, touched = [], [], 0
    for row, label in enumerate(parsed_labels(examples, rules)):
        written: str | None = (examples.labels or ())[row]
        if names.keys() & set(rules.names_in(label)):
            written, touched = rules.rewrite(label, names), touched + 1
        if written is not None:
            rows.append(row)
            labels.append(written)
    rest = replace(examples.take(rows), labels=labels, parsed=None, stripped=examples.stripped)
    return replace(rest, parsed=rules.parse_labels(rest)), touched
