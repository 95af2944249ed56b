"""Checks of a new index against the versions that are published already."""

from __future__ import annotations

import numpy as np

from tfpipe.errors import UserError
from tfpipe.exporting.baseline import PairedTest, find_baseline, paired_test
from tfpipe.exporting.clean_process import Answers, batches_of, join, run_in_clean_process
from tfpipe.exporting.info import INFO, read_info
from tfpipe.exporting.local_versions import PublishTarget
from tfpipe.exporting.object_store import local_copy
from tfpipe.locations import SAVED_MODEL
from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.questions import Questions
from tfpipe.retrieval.verify_index import OneText, as_examples

# The task of an index, in its `info`; the client's verb, too.
SEARCH = "search"
# That of the encoder with a faiss index inside.
EMBED = "embed"


def refuse_other_model(target: PublishTarget, task: str) -> None:
    """Raise UserError where the target's highest version has another task: clients rely on it.

    Raises:
        UserError: It is another model, or cannot be read.
    """
    versions = target.list_versions()
    if not versions:
        return
    newest = versions[max(versions)]
    with local_copy(newest, only=(INFO.as_posix(), SAVED_MODEL)) as folder:
        found = read_info(folder).get("task")
    if found != task:
        raise UserError(
            "--to has versions of another model",
            f"{newest}: {f'its task is {found}' if found else 'its task is not known'}",
            "give the index a name of its own",
        )


def compare_with_version(
    version: str, entries: Entries, questions: Questions, answers: Answers
) -> PairedTest:
    """Compare the first entries of a new index with those of a published one.

    Args:
        version: FOLDER/NAME/N, or its URL, of the published index.
        entries: The entries of the new one.
        questions: Labelled questions.
        answers: Its answers to them.

    Raises:
        UserError: The published one cannot answer, or the new one is worse with p < 0.05.
    """
    gold = np.array([entries.ids[row] if row >= 0 else "" for row in questions.gold])
    examples = as_examples(questions.texts, questions.path)
    with local_copy(find_baseline(version)) as folder:
        old = run_in_clean_process(folder, batches_of(examples, OneText))
    try:
        before = join(old.answered())["id"]
    except (RuntimeError, KeyError) as error:
        raise UserError(
            "the version of --not-worse-than cannot answer these questions",
            f"{version}: {str(error).strip().splitlines()[-1]}",
            "name a version that tfpipe.index published",
        ) from None
    wrong = [np.asarray(found[:, 0] != gold, float) for found in (answers["id"], before)]
    compared = paired_test(version, questions.path, *wrong)
    if compared.new_is_worse:
        raise UserError(
            "the index is worse than --not-worse-than allows, nothing was published",
            str(compared),
            "train a better encoder, or mend the entries",
        )
    return compared
