"""Summary at the top of the report: headline, main metrics, warnings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.data.unknown_tokens import NOTED, WARNED, UnknownTokens
from tfpipe.report.i18n import Wording
from tfpipe.report.run_report import Report
from tfpipe.report.sections import Data, MeasuredMetrics, SliceRow, Slices
from tfpipe.report.templates import format_number
from tfpipe.stats.bootstrap import Interval
from tfpipe.tasks.sections import Abstention, Calibration

# Metrics that are shown as percentages.
SHARES = {
    *("accuracy", "exact_match", "precision", "recall", "coverage", "out_of_scope_recall"),
    *("recall_at_1", "recall_at_5"),
}
MOST_NOTES = 6
NAMES = 5
FEW_EXAMPLES = 200
RARE_ROWS = 10
WEAK_F1 = 0.5
NOTABLE_GAP = 0.05
# Share of a label's texts that are confused with another one, from which it is reported.
NOTABLE_SHARE = 0.15


@dataclass(frozen=True)
class Tile:
    """A metric at the top: its name, value and a remark."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """Content of the summary.

    Attributes:
        headline: One sentence.
        measured: On which data the metrics were measured.
        tiles: Main metrics.
        notes: Warnings.
        confidence: Mean score; NaN where it is unknown.
        accuracy: Share of correct answers; NaN where it is unknown.
    """

    headline: str
    measured: str
    tiles: list[Tile]
    notes: list[str]
    confidence: float
    accuracy: float


def format_metric(name: str, value: float | None) -> str:
    """Return a metric for display: shares as percentages, others as numbers."""
    if value is None or value != value:
        return "–"
    share = name in SHARES or name.endswith(("accuracy", "exact_match"))
    return f"{value:.1%}" if share else format_number(value)


def summarise(report: Report, wording: Wording) -> Summary:
    """Summarise a report."""
    part, metrics = ("test", report.test) if report.test else ("dev", report.dev)
    shown = {name: format_metric(name, value) for name, value in metrics.values.items()}
    first = _leading(metrics)[0]
    values = {"labels": report.label_count, "task": report.task, **shown}
    headline = wording.of(
        report.task,
        "headline",
        **{"metric": wording.term("figure", first), "value": shown[first], **values},
    )
    if report.abstention:
        headline = _headline_with_abstention(report, report.abstention, wording)
    elif "no_answer_accuracy" in metrics.values:
        headline = wording.of(report.task, "headline_silent", **shown)
    elif {"recall_at_1", "spearman"} <= metrics.values.keys():
        headline = wording.of(report.task, "headline_graded", **shown)
    measured = [
        wording(
            f"measured.{'file' if report.other else part}", count=int(metrics.values["examples"])
        )
    ]
    trained = _rows_of(report.data, "train")
    if trained is not None:
        measured.append(wording("trained_on", count=trained))
    nothing = float("nan"), float("nan")
    return Summary(
        headline,
        ("" if wording.language == "zh" else " ").join(measured),
        list(_tiles(report, metrics, wording)),
        list(_notes(report, metrics, wording))[:MOST_NOTES],
        *(means_of(report.calibration) if report.calibration else nothing),
    )


def _headline_with_abstention(report: Report, abstention: Abstention, wording: Wording) -> str:
    held_out = abstention.test or abstention.expected or abstention.chosen
    # Measured on data that the threshold was not chosen on, where possible.
    values = {name: format_metric("accuracy", value) for name, value in vars(held_out).items()}
    if held_out.out_of_scope_recall is None:
        return wording.of(report.task, "headline_coverage", labels=report.label_count, **values)
    return wording.of(report.task, "headline_scope", labels=report.label_count - 1, **values)


def _rows_of(data: Data | None, name: str) -> int | None:
    return next((part.rows for part in data.parts if part.name == name), None) if data else None


def _tiles(report: Report, metrics: MeasuredMetrics, wording: Wording) -> Iterator[Tile]:
    for name in _leading(metrics)[:3]:
        interval = metrics.intervals.get(name)
        note = wording("tile.interval", **_ends(name, interval)) if interval else ""
        value = format_metric(name, metrics.values[name])
        yield Tile(wording.term("figure", name), value, note)
    if report.baseline:
        yield Tile(
            wording("tile.baseline"),
            format_metric(report.baseline.figure, report.baseline.value),
            wording("tile.baseline_note", answer=wording.quote(report.baseline.answer, 30)),
        )
    if "model_bytes" in report.cost and "parameters" in report.cost:
        size = wording("value.megabytes", megabytes=f"{report.cost['model_bytes'] / 1e6:,.0f}")
        millions = f"{report.cost['parameters'] / 1e6:,.1f}"
        yield Tile(
            wording("tile.parameters"), size, wording("tile.parameters_note", parameters=millions)
        )


def _leading(metrics: MeasuredMetrics) -> list[str]:
    """Return the names of the metrics, the task's main one first."""
    return [name for name in metrics.values if name not in ("loss", "examples")]


def _ends(name: str, interval: Interval) -> dict[str, str]:
    return {"low": format_metric(name, interval.low), "high": format_metric(name, interval.high)}


def _notes(report: Report, metrics: MeasuredMetrics, wording: Wording) -> Iterator[str]:
    """Yield the warnings, the most serious first."""
    unknown = report.data.unknown if report.data else None
    if unknown and unknown.exceeds(WARNED):
        remedy = wording(f"remedy.{unknown.remedy}")
        yield wording("watch.uncovered", shares=list_unknown(unknown, wording), remedy=remedy)
    yield from _leaks(report, wording)
    yield from _unreliable_metrics(report, metrics, wording)
    if unknown and unknown.exceeds(NOTED) and not unknown.exceeds(WARNED):
        # Before warnings that may be many, so that it is among those that are shown.
        yield wording("watch.unknown", shares=list_unknown(unknown, wording))
    yield from _weak_labels(report, wording)
    if report.suspects and report.suspects.count:
        yield wording("watch.suspects", count=report.suspects.count)
    if report.calibration:
        yield from _calibration(report.calibration, report.task, wording)
    for slices in report.slices:
        weak = [row for row in slices.rows if slices.is_weak(row)]
        for row in sorted(weak, key=lambda row: row.value, reverse=not slices.rising)[:1]:
            yield wording(
                f"watch.slice.{slices.kind}",
                name=slice_name(slices, row, wording),
                figure=wording.term("figure", slices.figure),
                value=format_metric(slices.figure, row.value),
                overall=format_metric(slices.figure, slices.overall),
            )
    if report.data:
        yield from _data(report.data, wording)


def slice_name(slices: Slices, row: SliceRow, wording: Wording) -> str:
    """Return a slice's name within a sentence."""
    if slices.kind == "script":
        return wording.term("script", row.name)
    return wording.quote(row.name) if slices.kind == "source" else row.name


def list_unknown(unknown: UnknownTokens, wording: Wording) -> str:
    """Return the shares of unknown tokens by split and script, for a sentence."""
    return wording.listing(
        [
            wording(
                "unknown.part",
                part=wording(part),
                share=f"{unknown.share(part):.1%}",
                scripts=wording.listing(
                    [
                        f"{wording.term('script', one.script)} {one.share:.1%}"
                        for one in scripts[:NAMES]
                    ]
                ),
            )
            for part, scripts in unknown.parts.items()
        ]
    )


def _leaks(report: Report, wording: Wording) -> Iterator[str]:
    for overlap in report.data.overlaps if report.data else ():
        if overlap.other == "train" and overlap.alike:
            values = {"count": overlap.alike, "part": wording(overlap.part)}
            if overlap.figure is None or overlap.without is None:
                yield wording("watch.leaks_bare", **values)
            else:
                yield wording(
                    "watch.leaks",
                    figure=wording.term("figure", overlap.figure),
                    without=format_metric(overlap.figure, overlap.without),
                    **values,
                )


def _unreliable_metrics(
    report: Report, metrics: MeasuredMetrics, wording: Wording
) -> Iterator[str]:
    """Yield warnings that the metrics may not be reliable."""
    count, first = int(metrics.values["examples"]), _leading(metrics)[0]
    baseline, interval = report.baseline, metrics.intervals.get(first)
    if baseline and interval and baseline.figure == first and interval.low <= baseline.value:
        yield wording(
            "watch.no_better",
            answer=wording.quote(baseline.answer),
            value=format_metric(first, baseline.value),
        )
    if first in ("accuracy", "exact_match") and metrics.values.get(first) == 1 and count:
        # The rule of three: with no error in n texts, 95 % sure that the rate is below 3 / n.
        yield wording("watch.perfect", count=count, bound=f"{min(1.0, 3 / count):.1%}")
    elif count < FEW_EXAMPLES:
        yield wording("watch.few", count=count)


def _weak_labels(report: Report, wording: Wording) -> Iterator[str]:
    measured = [row for row in report.classes if row.support]
    weak = [row.label for row in measured if row.f1 < WEAK_F1]
    if weak:
        names = name_some(weak, wording)
        yield wording("watch.weak", count=len(weak), labels=len(measured), names=names)
    pairs = report.confusion.pairs if report.confusion else ()
    for pair in pairs[:1]:
        if pair.share >= NOTABLE_SHARE and pair.count > 1:
            yield wording(
                "watch.pair",
                gold=wording.quote(pair.gold),
                predicted=wording.quote(pair.predicted),
                share=f"{pair.share:.0%}",
                count=pair.count,
            )


def _calibration(calibration: Calibration, task: str, wording: Wording) -> Iterator[str]:
    confidence, accuracy = means_of(calibration)
    if abs(confidence - accuracy) > NOTABLE_GAP:
        sure = "watch.too_sure" if confidence > accuracy else "watch.too_unsure"
        yield wording.of(task, sure, confidence=f"{confidence:.1%}", accuracy=f"{accuracy:.1%}")


def means_of(calibration: Calibration) -> tuple[float, float]:
    """Return the mean score and the share of correct answers; NaN without answers."""
    answers = calibration.answers
    filled, total = answers.counts > 0, answers.counts.sum()
    if not total:
        return float("nan"), float("nan")
    weights = answers.counts[filled] / total
    return float(weights @ answers.confidence[filled]), float(weights @ answers.accuracy[filled])


def _data(data: Data, wording: Wording) -> Iterator[str]:
    if data.contradictions and data.contradiction:
        text, labels = data.contradiction
        yield wording(
            "watch.contradictions",
            count=data.contradictions,
            text=wording.quote(text),
            labels=name_some(list(labels), wording),
        )
    if near := data.label_notes.near:
        both = [(pair.rare.label, pair.frequent.label) for pair in near]
        quoted = [" / ".join(wording.quote(name, 40) for name in names) for names in both]
        yield wording("watch.near_labels", count=len(near), names=list_some(quoted, wording))
    if data.lengths and data.lengths.truncated > 0.01 and not data.lengths.in_windows:
        # Where the model cannot read more tokens, there is nothing to propose.
        name = "watch.truncated" if data.lengths.proposed > data.lengths.limit else "watch.cut_off"
        yield wording(
            name,
            share=f"{data.lengths.truncated:.1%}",
            limit=data.lengths.limit,
            proposed=str(data.lengths.proposed),
        )
    unseen = [label for label, train, dev in data.label_counts if train and not dev]
    if unseen:
        yield wording("watch.unseen", count=len(unseen), names=name_some(unseen, wording))
    rare = [label for label, train, _ in data.label_counts if 0 < train < RARE_ROWS]
    if rare:
        yield wording("watch.rare", count=len(rare), names=name_some(rare, wording))
    for part in data.parts:
        if part.empty:
            yield wording("watch.empty", count=part.empty, part=wording(part.name))


def name_some(names: list[str], wording: Wording) -> str:
    """Return the first five names, quoted, and the number of the others."""
    return list_some([wording.quote(name, 40) for name in names], wording)


def list_some(quoted: list[str], wording: Wording) -> str:
    """Return the first five items, and the number of the others."""
    shown = wording.listing(quoted[:NAMES])
    if len(quoted) <= NAMES:
        return shown
    return wording("listing.more", names=shown, count=len(quoted) - NAMES)
