"""Texts of the first sections: summary, data, learning curves, metrics."""

OPENING: dict[str, str | tuple[str, str]] = {
    # ---- small words
    "quoted": "“{text}”",
    "between": ", ",
    "interval": "{low} to {high}",
    "range": "95 % interval {low} to {high}",
    "dash": "–",
    "listing.more": "{names} and {count} more",
    "dev": "dev",
    "test": "test",
    "train": "train",
    "cut_text": "{text} … ({characters} characters in all)",
    # ---- the top
    "kicker": "Task {task}",
    "headline": "A model for the task {task}: {metric} is {value}.",
    "made": "Training report, {when}",
    "measured.dev": (
        "Measured on {count} example that it was not trained on.",
        "Measured on {count} examples that it was not trained on.",
    ),
    "measured.file": (
        "Measured on {count} example of {dev}.",
        "Measured on {count} examples of {dev}.",
    ),
    "measured.of": "Of {part}: {source}.",
    "measured.test": (
        "Measured on {count} test example, evaluated once, after training.",
        "Measured on {count} test examples, evaluated once, after training.",
    ),
    "trained_on": (
        "Trained on {count} example.",
        "Trained on {count} examples.",
    ),
    "tile.interval": "{low}–{high} (95 %)",
    "tile.baseline": "Without a model",
    "tile.baseline_note": "always answering {answer}",
    "tile.examples": "Examples",
    "tile.examples_note": "{train} trained on, {measured} measured on",
    "tile.parameters": "Size",
    "tile.parameters_note": "{parameters} million parameters",
    "watch": "What to watch out for",
    "watch.none": "There are no warnings about the data or the metrics.",
    # ---- what to watch out for
    "watch.leaks": (
        (
            "{count} {part} example is in train, too: the metrics are too high. Without it,"
            " {figure} is {without}."
        ),
        (
            "{count} {part} examples are in train, too: the metrics are too high. Without them,"
            " {figure} is {without}."
        ),
    ),
    "watch.leaks_bare": (
        "{count} {part} example is in train, too: the metrics are too high.",
        "{count} {part} examples are in train, too: the metrics are too high.",
    ),
    "watch.no_better": (
        "No better than always answering {answer}, which would be right for {value} of the texts."
    ),
    "watch.few": (
        (
            "{count} example is few to measure on: the true metrics may differ by as much as the"
            " intervals say."
        ),
        (
            "{count} examples are few to measure on: the true metrics may differ by as much as the"
            " intervals say."
        ),
    ),
    "watch.perfect": (
        (
            "Every answer was right. That is rare: check that {dev} is not too easy. With {count}"
            " example, up to {bound} of new texts may still be answered wrongly."
        ),
        (
            "Every answer was right. That is rare: check that {dev} is not too easy. With {count}"
            " examples, up to {bound} of new texts may still be answered wrongly."
        ),
    ),
    "watch.weak": (
        "{count} label of {labels} is weak, with an F1 below 0.5: {names}.",
        "{count} labels of {labels} are weak, with an F1 below 0.5: {names}.",
    ),
    "watch.pair": "{gold} is taken for {predicted} in {share} of its texts ({count} times).",
    "watch.too_sure": (
        "It is overconfident: its mean score is {confidence}, and {accuracy} of its"
        " answers are right."
    ),
    "watch.too_unsure": (
        "It is underconfident: its mean score is {confidence}, and {accuracy} of its"
        " answers are right."
    ),
    "watch.suspects": (
        "{count} gold label of {dev} may be wrong; a person should look at it.",
        "{count} gold labels of {dev} may be wrong; a person should look at them.",
    ),
    "watch.slice.length": (
        "Texts of {name} tokens do worse than the rest: {figure} {value}, {overall} over all."
    ),
    "watch.slice.context": (
        "Questions of {name} tokens with their context do worse than the rest: {figure} {value},"
        " {overall} over all."
    ),
    "watch.slice.characters": (
        "Texts of {name} characters do worse than the rest: {figure} {value}, {overall} over all."
    ),
    "watch.slice.source": (
        "Texts from {name} do worse than the rest: {figure} {value}, {overall} over all."
    ),
    "watch.slice.script": (
        "Texts in the script {name} do worse than the rest: {figure} {value}, {overall} over all."
    ),
    "watch.unknown": (
        "The model's vocabulary lacks some of the tokens, and the unknown token is read in"
        " their place: {shares}."
    ),
    "watch.uncovered": (
        "The model's vocabulary does not cover these texts, and the unknown token is read in place"
        " of many tokens: {shares}. {remedy}"
    ),
    "unknown.part": "{share} of {part} ({scripts})",
    "remedy.more_texts": (
        "Train on more texts, or with the folder or hub id of a multilingual BERT, such as --model"
        " google-bert/bert-base-multilingual-cased."
    ),
    "remedy.tiny": "Train with --model tiny, whose vocabulary is learnt from these texts.",
    "remedy.chinese": (
        "Train with --model multilingual, with --model tiny, whose vocabulary is learnt from these"
        " texts, or with the folder or hub id of a Chinese or multilingual BERT, such as --model"
        " google-bert/bert-base-chinese."
    ),
    "remedy.multilingual": (
        "Train with --model multilingual, with --model tiny, whose vocabulary is learnt from these"
        " texts, or with the folder or hub id of a multilingual BERT, such as --model"
        " google-bert/bert-base-multilingual-cased."
    ),
    "watch.truncated": (
        "{share} of the train texts are longer than {limit} tokens, and what follows is not read;"
        " --max-length {proposed} reads more."
    ),
    "watch.cut_off": (
        "{share} of the train texts are longer than the {limit} tokens that the model can read; the"
        " rest of them is not read."
    ),
    "watch.contradictions": (
        "{count} train text has more than one label, such as {text}: {labels}.",
        "{count} train texts have more than one label, such as {text}: {labels}.",
    ),
    "watch.near_labels": (
        "{count} label is nearly equal to another one: {names}.",
        "{count} labels are nearly equal to other ones: {names}.",
    ),
    "watch.rare": (
        "{count} label has fewer than 10 rows in train: {names}.",
        "{count} labels have fewer than 10 rows in train: {names}.",
    ),
    "watch.unseen": (
        "{count} label has no example in dev, so nothing is known about it: {names}.",
        "{count} labels have no example in dev, so nothing is known about them: {names}.",
    ),
    "watch.empty": (
        "{count} text of {part} is empty.",
        "{count} texts of {part} are empty.",
    ),
    # ---- sections
    "nav": "Sections",
    "section.data": "Data",
    "section.curves": "Learning curves",
    "section.figures": "Metrics",
    "section.classes": "Labels",
    "section.confusion": "What is mixed up",
    "section.calibration": "Can the scores be trusted?",
    "section.abstention": "When it should not answer",
    "section.scatter": "Predicted against gold",
    "section.slices": "Where it does better and worse",
    "section.robustness": "Changed texts",
    "section.compression": "Before and after compression",
    "section.mistakes.confident": "Most confident mistakes",
    "section.mistakes.decisions": "Most confident mistakes",
    "section.mistakes.answers": "Most confident mistakes",
    "section.mistakes.entities": "Most confident mistakes",
    "section.mistakes.furthest": "Largest errors",
    "section.mistakes.worst": "Mistakes",
    "section.suspects": "Gold labels that may be wrong",
    "section.duplicates": "Examples in two parts",
    "section.cost": "Speed and size",
    "section.run": "How to reproduce this run",
    # ---- data
    "column.part": "part",
    "column.rows": "examples",
    "column.source": "from",
    "fact.columns": "columns",
    "fact.labels": "labels",
    "fact.balance": "balance",
    "fact.balance_value": (
        "{most} rows of the most frequent label, {fewest} of the rarest: {ratio} to 1"
    ),
    "fact.repeated": "repeated in train",
    "fact.repeated_value": (
        "{count} row with the text of an earlier row",
        "{count} rows with the text of an earlier row",
    ),
    "fact.contradictions": "several labels for one text",
    "fact.contradictions_value": ("{count} train text", "{count} train texts"),
    "fact.decision": "how files were read",
    "fact.stripped": "blanks around labels",
    "fact.stripped_value": (
        "removed from {count} label of {source}",
        "removed from {count} labels of {source}",
    ),
    "fact.near": "nearly equal labels",
    "fact.near_spelling": (
        "{rare} (total {rare_count}, first in rows {rare_rows}) and {frequent} (total"
        " {frequent_count}, first in rows {frequent_rows}) differ in case, width or spaces alone"
    ),
    "fact.near_typo": (
        "{rare} (total {rare_count}, first in rows {rare_rows}) is one edit from {frequent} (total"
        " {frequent_count}, first in rows {frequent_rows})"
    ),
    "fact.overlap": "{part} examples in {other}, too",
    "fact.overlap_value": "{exact} equal, {alike} but for case and punctuation",
    "fact.tokens": "tokens a text",
    "fact.tokens_value": "{percent} % have at most {tokens}",
    "fact.tokens_longest": "the longest {tokens}",
    "fact.truncated": "cut off",
    "fact.truncated_value": "{share} of train is longer than the limit of {limit} tokens",
    "fact.windows": "read in windows",
    "fact.windows_value": (
        "{share} of train is longer than {limit} tokens and read in several windows; nothing is"
        " cut off"
    ),
    "fact.unknown": "unknown tokens of {part}",
    "fact.unknown_value": "{share}: {unknown} of {tokens} tokens",
    "heading.unknown": "Unknown tokens by script",
    "column.script": "script",
    "column.tokens": "tokens",
    "column.unknown": "unknown",
    "column.share": "share",
    "unknown.note": (
        "Unknown tokens are not in the model's vocabulary: one token is read in place of all of"
        " them. Special tokens and what was cut off are not counted. A text's script is that of"
        " most of its letters."
    ),
    "heading.checked": "What was checked",
    "heading.label_counts": "Rows per label",
    "label.answer": "answer",
    "label.no answer": "no answer",
    "column.label": "label",
    "column.train": "train",
    "column.dev": "dev",
    # ---- curves
    "curves.note": (
        "Train loss is the mean over each epoch's steps; all else is measured on dev after the"
        " epoch. The dotted line marks the epoch that was kept."
    ),
    "curves.note_best": (
        "Train loss is the mean over each epoch's steps; all else is measured on dev after the"
        " epoch. The dotted line marks the epoch that was kept, the best by {figure} on dev."
    ),
    "curves.stopped": (
        "Training stopped after epoch {count} of {planned}, best {best}: in the last epochs no"
        " metric on dev was better, and the loss there rose (--early-stopping)."
    ),
    "curves.complete": "Training ended after epoch {count} of {planned}, best {best}.",
    "axis.epoch": "epoch",
    "axis.loss": "Loss",
    "axis.figures": "Metrics on dev",
    "axis.kept": "kept",
    "axis.confidence": "score",
    "axis.accuracy": "share that is right",
    "axis.perfect": "as it should be",
    "axis.measured": "measured, with 95 % interval",
    "axis.counts": "answers",
    "axis.coverage": "share of the texts that are answered",
    "axis.risk": "share of wrong answers",
    "axis.chosen": "chosen",
    "axis.gold": "gold value",
    "axis.predicted": "predicted value",
    # ---- figures
    "figures.method": (
        "Intervals: 95 % percentile bootstrap. The examples were drawn anew with replacement"
        " {replicates} times (seed 1), and the range of the middle 95 % of the draws is given:"
        " how much it would vary with other examples of the same kind. It does not cover texts"
        " of another kind, or the variance between runs."
    ),
    "figures.chosen": (
        "The epoch was chosen on dev, so the metrics on dev are slightly too high; a test file"
        " (--test) gives unbiased ones."
    ),
    "figures.baseline": (
        "For comparison: always answering {answer}, the most frequent label, would reach"
        " {figure} {value}."
    ),
    "column.figure": "metric",
    "column.interval": "95 % interval",
    "column.meaning": "meaning",
    "figure.accuracy": "accuracy",
    "figure.macro_f1": "macro F1",
    "figure.weighted_f1": "weighted F1",
    "figure.micro_f1": "micro F1",
    "figure.exact_match": "exact match",
    "figure.precision": "precision",
    "figure.recall": "recall",
    "figure.f1": "F1",
    "figure.pearson": "Pearson correlation",
    "figure.spearman": "Spearman correlation",
    "figure.mae": "mean absolute error",
    "figure.rmse": "root mean squared error",
    "figure.mrr_at_10": "mean reciprocal place (MRR@10)",
    "figure.recall_at_1": "recall@1",
    "figure.recall_at_5": "recall@5",
    "figure.ndcg_at_10": "NDCG@10",
    "figure.coverage": "coverage",
    "figure.selective_accuracy": "accuracy where it answers",
    "figure.in_scope_accuracy": "in-scope accuracy",
    "figure.out_of_scope_recall": "out-of-scope recall",
    "figure.no_answer_accuracy": "accuracy without answer",
    "figure.answerable_exact_match": "exact match with answer",
    "figure.answerable_f1": "F1 with answer",
    "figure.loss": "loss",
    "figure.examples": "examples",
    "meaning.accuracy": "Share of the texts whose predicted label is their gold label.",
    "meaning.macro_f1": "Mean F1 of the labels, rare ones counting as much as frequent ones.",
    "meaning.weighted_f1": "Mean F1 of the labels, each counting as often as it occurs.",
    "meaning.micro_f1": "F1 over all marks of all labels together.",
    "meaning.exact_match": "Share of the examples whose whole answer is right.",
    "meaning.precision": "Share of what was found that is right, in place and in kind.",
    "meaning.recall": "Share of what is there that was found, in place and in kind.",
    "meaning.f1": "Harmonic mean of precision and recall.",
    "meaning.no_answer_accuracy": (
        "Of the questions without an answer, the share for which none was given."
    ),
    "meaning.answerable_exact_match": "The same share of the questions that have an answer.",
    "meaning.answerable_f1": "The same overlap for the questions that have an answer.",
    "meaning.coverage": "Share of the texts whose score is high enough for an answer.",
    "meaning.selective_accuracy": "Share of these answers that are right.",
    "meaning.in_scope_accuracy": "Of the texts that a label fits, the share that got it.",
    "meaning.out_of_scope_recall": (
        "Of the texts that no label fits, the share that was held back or recognised."
    ),
    "meaning.pearson": "How well gold and predicted values lie on one line; 1 is best.",
    "meaning.spearman": "How well the order of the gold values is kept; 1 is best.",
    "meaning.mae": "By how much a value is off on average.",
    "meaning.rmse": "By how much a value is off, large errors counting more.",
    "meaning.loss": "What training minimises; lower is better, 0 is perfect.",
    "meaning.examples": "Labelled examples that the metrics are measured on.",
}
