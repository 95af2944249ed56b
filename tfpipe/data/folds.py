"""Stratified folds that keep equal texts in one of them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tfpipe.data.arrays import Int64Array
from tfpipe.data.dev_split import group_rows, names_of_rows
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules
from tfpipe.errors import UserError
from tfpipe.text_display import list_few

# Different texts of a label, so that the other folds have two: one to train on, one for dev.
LEAST_TEXTS = 3


def cut_folds(examples: Examples, count: int, seed: int, rules: type[LabelRules]) -> Int64Array:
    """Cut labelled examples into folds with the labels in equal shares.

    Rows whose texts are equal after normalising are in one fold.

    Args:
        examples: N labelled examples.
        count: Number of folds.
        seed: Of the random choice.
        rules: The label rules of the task.

    Returns:
        int64 [N]: the fold of each row, from 0.

    Raises:
        UserError: There are fewer different texts than folds, or too few of a label.
    """
    labels, group_of = names_of_rows(examples, rules), group_rows(examples)
    groups, rows_of = int(group_of.max()) + 1, defaultdict[str, list[int]](list)
    for row, names in enumerate(labels):
        for name in names:
            rows_of[name].append(row)
    # By label: the groups in which it occurs, and its rows in each.
    groups_of = {
        name: np.unique(group_of[rows], return_counts=True) for name, rows in rows_of.items()
    }
    if groups < count:
        raise UserError(
            "there are fewer different texts than folds",
            f"{groups} in {examples.path}, {count} folds",
            "give a smaller number of folds",
        )
    few = [name for name, (members, _) in groups_of.items() if name and len(members) < LEAST_TEXTS]
    if few:
        raise UserError(
            "a label has too few different texts for folds",
            f"{list_few(few)} in {examples.path}: fewer than {LEAST_TEXTS}",
            "add examples of it, merge it with another label, or remove the rows",
        )
    random, sizes = np.random.default_rng(seed), np.bincount(group_of)
    fold_of_group = np.full(groups, -1)
    rows_in = np.zeros(count, np.int64)
    # The rarest first: it has the least choice.
    for name in sorted(groups_of, key=lambda name: (len(groups_of[name][0]), name)):
        members, counts = groups_of[name]
        placed = fold_of_group[members]
        of_label = np.zeros(count, np.int64)
        np.add.at(of_label, placed[placed >= 0], counts[placed >= 0])
        order = random.permutation(len(members))
        # Large groups first: small ones then fill what is uneven.
        for place in order[np.argsort(-counts[order], kind="stable")]:
            group = members[place]
            if fold_of_group[group] < 0:
                # Where the label is rarest so far, and of those the smallest fold.
                fold = np.lexsort((rows_in, of_label))[0]
                fold_of_group[group] = fold
                of_label[fold] += counts[place]
                rows_in[fold] += sizes[group]
    return fold_of_group[group_of]
