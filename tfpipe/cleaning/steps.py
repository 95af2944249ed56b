"""The steps of cleaning: labels are renamed, then rows are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tfpipe.config import CleanConfig
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules
from tfpipe.data.near_labels import NearLabels, find_near_labels
from tfpipe.data.parse_rows import parse_rows
from tfpipe.data.repeats import find_repeats
from tfpipe.errors import UserError, did_you_mean, raise_all


@dataclass
class Cleaned:
    """Examples in the course of cleaning.

    Attributes:
        examples: The examples that are left, of those with a label parsed.
        kept: Their rows in the file, from 0.
        merged: The rows of each label that got another name, by old and new name.
        dropped: Rows that were dropped, by kind.
        found: Rows that could be dropped, by kind.
        near: Labels that are probably one and were not merged.
    """

    examples: Examples
    kept: list[int]
    merged: dict[tuple[str, str], int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    near: list[NearLabels] = field(default_factory=list)


def clean(examples: Examples, config: CleanConfig, rules: type[LabelRules]) -> Cleaned:
    """Rename labels and drop rows as configured.

    Args:
        examples: With labels as written, without blanks around them.
        config: What to do.
        rules: The label rules of the task.

    Raises:
        UserError: A label cannot be parsed, or --merge names one that the file lacks.
    """
    done = Cleaned(examples, [*range(len(examples))])
    unlabelled = _without_label(examples, rules)
    if examples.labels is not None:
        _merge(done, unlabelled, config, rules)
    joined = examples.joined()
    empty = {row for row in done.kept if not joined[row].strip()} | unlabelled
    _drop(done, "empty", empty, config)
    for kind in ("duplicates", "contradictions"):
        repeats = dict(
            zip(("duplicates", "contradictions"), find_repeats(done.examples), strict=True)
        )
        _drop(done, kind, {done.kept[place] for place in repeats[kind]}, config)
    if examples.labels is not None and rules.labels_from_data:
        _drop_rare(done, unlabelled, config, rules)
    return done


def _without_label(examples: Examples, rules: type[LabelRules]) -> set[int]:
    labels = () if rules.optional_label else examples.labels or ()
    return {row for row, label in enumerate(labels) if not label}


def _parsed(done: Cleaned, unlabelled: set[int], rules: type[LabelRules]) -> dict[int, Any]:
    """Return the parsed label by the place of the example; raises UserError."""
    places = [place for place, row in enumerate(done.kept) if row not in unlabelled]
    faults: list[UserError] = []
    parsed = parse_rows(done.examples.take(places), rules, faults).parsed or () if places else ()
    raise_all(faults)
    return dict(zip(places, parsed, strict=True))


def _merge(
    done: Cleaned, unlabelled: set[int], config: CleanConfig, rules: type[LabelRules]
) -> None:
    parsed = _parsed(done, unlabelled, rules)
    near = find_near_labels(parsed.values(), rules.names_in)
    known = {name for label in parsed.values() for name in rules.names_in(label)}
    names = config.renamed
    for old in names:
        if old not in known:
            fix = f"{did_you_mean(old, sorted(known))}name a label of the file"
            raise UserError("--merge names a label that the file lacks", repr(old), fix)
    if config.merge_labels:
        alike = {pair.rare.label: pair.frequent.label for pair in near if not pair.typo}
        names = alike | names
    names = {old: _follow(old, names) for old in names}
    done.near = [pair for pair in near if pair.rare.label not in names]
    labels = [*(done.examples.labels or ())]
    for place, label in parsed.items():
        changed = [name for name in rules.names_in(label) if names.get(name, name) != name]
        if changed:
            labels[place] = rules.rewrite(label, names) or ""
        for name in changed:
            key = name, names[name]
            done.merged[key] = done.merged.get(key, 0) + 1
    done.examples = replace(done.examples, labels=labels)


def _follow(old: str, names: Mapping[str, str]) -> str:
    """Return the last name of a chain of renamings; of a circle, the one before it closes."""
    seen, name = {old}, names[old]
    while name in names and name not in seen:
        seen.add(name)
        name = names[name]
    return name


def _drop(done: Cleaned, kind: str, rows: set[int], config: CleanConfig) -> None:
    if not rows:
        return
    if kind not in config.drops:
        done.found[kind] = len(rows)
        return
    done.dropped[kind] = len(rows)
    places = [place for place, row in enumerate(done.kept) if row not in rows]
    done.kept = [done.kept[place] for place in places]
    done.examples = done.examples.take(places)


def _drop_rare(
    done: Cleaned, unlabelled: set[int], config: CleanConfig, rules: type[LabelRules]
) -> None:
    """Drop the rows of rare labels; of labels with several names, only the rare names."""
    parsed = _parsed(done, unlabelled, rules)
    counts = Counter(name for label in parsed.values() for name in rules.names_in(label))
    rare = dict.fromkeys(name for name, count in counts.items() if count < config.rare_below)
    labels, rows, touched = [*(done.examples.labels or ())], set(), 0
    for place, label in parsed.items():
        if rare.keys() & {*rules.names_in(label)}:
            written, touched = rules.rewrite(label, rare), touched + 1
            if written is None:
                rows.add(done.kept[place])
            else:
                labels[place] = written
    if "rare" in config.drops:
        done.examples = replace(done.examples, labels=labels)
        _drop(done, "rare", rows, config)
    if touched:
        (done.dropped if "rare" in config.drops else done.found)["rare"] = touched
