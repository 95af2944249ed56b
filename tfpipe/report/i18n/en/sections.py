"""Texts of the other sections, from labels to environment."""

SECTIONS: dict[str, str | tuple[str, str]] = {
    # ---- labels
    "classes.note": (
        "Worst first; a click on a heading sorts. Precision: of the texts given this label, the"
        " share that has it. Recall: of those that have it, the share that was given it. F1:"
        " their harmonic mean. Support: texts that have it."
    ),
    "classes.note_thresholds": (
        "A label is given from its own score on, which gave the best F1 on dev; so F1 on dev is"
        " slightly too high."
    ),
    "classes.brief": ("{count} label, F1 {worst}", "{count} labels, from F1 {worst} to {best}"),
    "column.f1": "F1",
    "column.precision": "precision",
    "column.recall": "recall",
    "column.support": "support",
    "column.threshold": "given from score",
    "column.test_f1": "F1 on test",
    "column.taken_for": "most often taken for",
    "taken_for": "{label} ({count})",
    # ---- confusion
    "confusion.pairs": "Mixed up most often",
    "confusion.pairs_note": (
        "The example is the text that was so mixed up with the highest score."
    ),
    "confusion.none": "No text of {dev} was answered wrongly.",
    "confusion.whole": "The whole matrix",
    "confusion.whole_note": (
        "Rows are gold labels, columns predicted ones; the colour is the share of the row. Blue"
        " is right, orange is wrong. Point at a cell to read it."
    ),
    "confusion.cut": "Of {labels} labels, the {shown} with the most errors are shown.",
    "confusion.cut_cells": "Of {cells} cells with texts, the {shown} largest are shown.",
    "confusion.marks": "Rings carry the numbers of the first pairs above.",
    "confusion.zoom": "size",
    "confusion.fit": "whole",
    "confusion.cell": "{gold} → {predicted}: {count} of {support} ({share})",
    "column.gold": "gold",
    "column.predicted": "predicted",
    "column.count": "texts",
    "column.of_gold": "of gold",
    "column.example": "for example",
    # ---- calibration
    "calibration.note": (
        "Answers are sorted by their score. In a well calibrated model, of the answers with a"
        " score near 0.8, 80\u00a0% are right: the points lie on the dotted line. Below it the"
        " model is overconfident, above it underconfident."
    ),
    "calibration.fitted": (
        "Each score was calibrated with a temperature that was fitted on other texts."
    ),
    "calibration.error": "expected calibration error",
    "calibration.error_value": (
        "{value}: score and share of right answers differ by that on average"
    ),
    "calibration.raw_error": "before calibration",
    "calibration.temperature": "temperature",
    "calibration.confidence": "mean score",
    "calibration.accuracy": "share that is right",
    "calibration.brief": "expected calibration error {value}",
    # ---- abstention
    "abstention.note": (
        "The model may say nothing where its score is low. From right to left it answers fewer of"
        " the texts, and fewer of its answers are wrong. All other sections use the label with"
        " the highest score, held back or not."
    ),
    "abstention.note_expected": (
        "On the texts that it was chosen on, a threshold looks better than it is. To expect of new"
        " texts: each fifth of dev, held back by the threshold that the other four fifths choose."
    ),
    "abstention.brief": "{share} of the answers are held back",
    "abstention.threshold": "It answers from a score of {value} on.",
    "abstention.coverage": "texts answered",
    "abstention.accuracy": "of these right",
    "abstention.in_scope": "texts in scope that get their label",
    "abstention.out_of_scope": "texts out of scope ({label}) that get no other label",
    "column.chosen": "dev",
    "column.expected": "to expect",
    "column.test": "test",
    # ---- scatter
    "scatter.note": "A point is an example; on the dotted line the value is exactly right.",
    "scatter.sampled": "A point is an example, {shown} of {count}; on the line it is right.",
    # ---- slices
    "slices.length": "By length in tokens",
    "slices.context": "By length of question and context in tokens",
    "slices.characters": "By length in characters",
    "slices.script": "By script",
    "script.han": "Han (Chinese)",
    "script.kana": "Kana",
    "script.hangul": "Hangul",
    "script.cyrillic": "Cyrillic",
    "script.arabic": "Arabic",
    "script.devanagari": "Devanagari",
    "script.thai": "Thai",
    "script.greek": "Greek",
    "script.hebrew": "Hebrew",
    "script.bengali": "Bengali",
    "script.gurmukhi": "Gurmukhi",
    "script.gujarati": "Gujarati",
    "script.tamil": "Tamil",
    "script.telugu": "Telugu",
    "script.kannada": "Kannada",
    "script.malayalam": "Malayalam",
    "script.sinhala": "Sinhala",
    "script.lao": "Lao",
    "script.tibetan": "Tibetan",
    "script.myanmar": "Myanmar",
    "script.khmer": "Khmer",
    "script.ethiopic": "Ethiopic",
    "script.mongolian": "Mongolian",
    "script.armenian": "Armenian",
    "script.georgian": "Georgian",
    "script.latin": "Latin",
    "script.other": "other",
    "script.none": "no letters",
    "slices.source": "By source",
    "slices.note": (
        "▼ marks slices whose whole interval is worse than the metric over all of {dev}, {overall}."
        " One of many slices may be so by chance."
    ),
    "column.length": "tokens",
    "column.context": "tokens",
    "column.characters": "characters",
    "column.where": "source",
    # ---- robustness
    "robustness.texts": "the texts",
    "robustness.note": (
        "Each change edits {share} of the places of a text where it can be made, at least one;"
        " texts that it does not change are not counted. Before and after: {figure} on the same"
        " texts."
    ),
    "robustness.attack": "Attack by typing errors",
    "robustness.attacked": (
        "{count} of the words that the answer depends on most is misspelt in the way that lowers"
        " the score of the right label most: of {texts} texts {before} are answered right, then"
        " {after}.",
        "Up to {count} of the words that the answer depends on most are misspelt in the way that"
        " lowers the score of the right label most: of {texts} texts {before} are answered right,"
        " then {after}.",
    ),
    "robustness.expectations": "Expectations",
    "robustness.expected": "{met} of the {rows} expectations of {source} are met.",
    # ---- compression
    "compression.before": "before",
    "compression.after": "after",
    "compression.latency": "ms at batch {batch}, p50 / p95",
    "compression.same": (
        "Made of {run} by tfpipe.compress. {same} of the answers to the {texts} examples of {dev}"
        " are the same; p = {p} in the exact test that both are equally often right."
    ),
    "compression.lost": (
        "{share} of the tokens of {dev} are not in the trimmed vocabulary, and are read as several"
        " smaller ones."
    ),
    "compression.timed": (
        "Times are those of the graph of an export in float32, from texts to answers, both models"
        " in turn on the machine that compressed the run."
    ),
    "fact.vocabulary": "tokens of the vocabulary",
    "fact.layers": "layers",
    "fact.heads": "attention heads of a layer",
    "fact.ffn": "units of a feed-forward layer",
    "column.change": "change",
    "column.before": "before",
    "column.after": "after",
    "column.kept": "answers kept",
    "column.expected_answer": "expected",
    "change.typos": "neighbouring keys",
    "change.swap": "swapped letters",
    "change.drop": "missing letters",
    "change.case": "capitals",
    "change.spacing": "blanks",
    "change.punctuation": "punctuation",
    "change.width": "full width",
    "change.emoji": "emoji",
    "change.invisible": "invisible characters",
    "change.homoglyphs": "letters that look alike",
    "change.homophones": "characters that sound alike",
    "change.shapes": "characters that look alike",
    "change.scripts": "simplified and traditional",
    # ---- mistakes
    "mistakes.confident": (
        "The wrong answers on {dev} that were given with the highest scores. Look here first for"
        " wrong gold labels and for labels that overlap."
    ),
    "mistakes.decisions": (
        "The texts with the surest wrong decisions about a label; the score is how sure it was."
        " Look here first for labels that are missing in the gold ones."
    ),
    "mistakes.answers": (
        "Answers that share no word with a gold one, the highest scores first. Of the context, the"
        " surroundings of the answers are shown: words of a gold answer on a blue background, the"
        " given answer above a broken line."
    ),
    "mistakes.entities": (
        "Entities that are wrong, the surest first, and then some that were missed. In the text,"
        " gold entities are on a blue background, found ones above a broken line."
    ),
    "cause.limits": "wrong boundaries, right type",
    "cause.type": "right boundaries, wrong type",
    "cause.both": "overlapping, wrong boundaries and type",
    "cause.invented": "found where there is none",
    "cause.missed": "missed",
    "mistakes.furthest": "The answers on {dev} that are furthest off, the furthest first.",
    "mistakes.worst": "Wrong answers on {dev}, the worst first.",
    "mistakes.none": "No example of {dev} was answered wrongly.",
    "mistakes.brief": ("{count} wrong answer in all", "{count} wrong answers in all"),
    "mistakes.nothing": "nothing",
    "column.score": "score",
    "column.error": "off by",
    "column.text": "text",
    # ---- suspects
    "suspects.confident_learning": (
        "Method: confident learning (Northcutt et al. 2021) on the {examined} texts of {dev}, which"
        " the model was not trained on. A text is suspected when it reaches the mean score of"
        " another label's own texts, and more than 0.5; the most contradicted come first. The model"
        " may be wrong: a person decides."
    ),
    "suspects.below_baseline": (
        "No label is suspected: on the {examined} texts of {dev} the model is not reliably better"
        " than always answering the most frequent label, so its doubts are no evidence."
    ),
    "suspects.count": "{count} of {examined} texts",
    "suspects.none": "No gold label of {dev} looks wrong.",
    "column.proposed": "model proposes",
    "column.gold_score": "score of gold",
    "column.proposed_score": "score of proposal",
    # ---- duplicates
    "duplicates.note": (
        "Equal after normalising (Unicode NFKC, case, punctuation). Such examples measure"
        " memorisation, not quality; those with two different labels come first."
    ),
    "duplicates.brief": ("{count} example", "{count} examples"),
    "duplicates.pair": "{part} examples that are in {other}, too",
    "duplicates.shown": "{shown} of {count} are shown; {differing} have differing labels.",
    "duplicates.none": "No dev or test example is in another part.",
    "column.label_in": "label in {part}",
    "column.equal": "equal",
    "equal.exact": "exactly",
    "equal.alike": "after normalising",
    # ---- speed, size, environment
    "fact.seconds": "time of the whole run",
    "fact.epochs": "epochs",
    "fact.best_epoch": "epoch that was kept",
    "fact.steps": "steps",
    "fact.examples_per_second": "examples a second in training",
    "fact.tokens_per_second": "tokens a second in training, without padding",
    "fact.padding_share": "share of padding",
    "fact.parameters": "parameters",
    "fact.trainable_parameters": "parameters trained",
    "fact.model_bytes": "size on disk",
    "fact.answers_per_second": "answers a second on dev",
    "value.seconds": "{seconds} s",
    "value.minutes": "{minutes} min {seconds} s",
    "value.hours": "{hours} h {minutes} min",
    "value.megabytes": "{megabytes} MB",
    "run.note": "The same data, settings and seed, on the same versions:",
    "run.settings": "All settings (config.yaml)",
    "run.hashes": "Fingerprints of the data (SHA-256)",
    "run.environment": "Environment",
    "run.next": "What to type next",
    "fact.system": "system",
    "fact.devices": "devices",
    "fact.strategy": "strategy",
    "fact.python": "Python",
    "fact.tensorflow": "TensorFlow",
    "fact.numpy": "NumPy",
    "fact.train_sha256": "train",
    "fact.dev_sha256": "dev",
}
