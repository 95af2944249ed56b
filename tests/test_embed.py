"""Vectors of texts: what is similar, the losses' values, what a search finds, what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr

from tests.support.data import write_similar
from tests.support.labelled import make_examples
from tests.support.runs import finished_run, tiny_config
from tfpipe.config import DoctorConfig, PredictConfig, TrainConfig, build
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.splits import read_for, read_splits
from tfpipe.doctor import examine
from tfpipe.errors import Interrupted, UserError
from tfpipe.predict import predict
from tfpipe.tasks import TASKS
from tfpipe.tasks.embed.evaluation import EmbedEvaluation
from tfpipe.tasks.embed.labelled_pairs import targets_of
from tfpipe.tasks.embed.labels import GRADED, LABELS, PAIRS, Similarity, apart, kind_of
from tfpipe.tasks.embed.task import Embed
from tfpipe.train import train

TASK = Embed(temperature=0.05)
SCALE = 20.0


def unit_vectors(count: int, seed: int = 0, size: int = 8) -> np.ndarray:
    """float32 [count, size], of length 1."""
    found = np.random.default_rng(seed).normal(size=(count, size))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def pairs_of(
    firsts: Sequence[str], seconds: Sequence[str], labels: Sequence[str] | None = None
) -> Examples:
    return make_examples(firsts, labels, seconds)


def losses_of(
    examples: Examples, vectors: np.ndarray, weight: Sequence[float] | None = None
) -> np.ndarray:
    """The losses of all texts of examples, as one batch."""
    batch = {name: tf.constant(column) for name, column in targets_of(examples).items()}
    batch["weight"] = tf.constant(weight or [1.0] * len(vectors))
    return TASK.loss(tf.constant(vectors), batch).numpy()


def cross_entropy(scores: np.ndarray) -> np.ndarray:
    """As torch.nn.CrossEntropyLoss with the labels 0, 1, ..., without its mean."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - np.diag(shifted)


# ---- losses -----------------------------------------------------------------------------------


def test_pairs_are_ranked_in_both_directions() -> None:
    vectors = unit_vectors(12).astype(np.float64)
    examples = pairs_of([f"q{i}" for i in range(6)], [f"a{i}" for i in range(6)])
    scores = SCALE * vectors[0::2] @ vectors[1::2].T
    found = losses_of(examples, vectors.astype(np.float32))
    np.testing.assert_allclose(found[0::2], cross_entropy(scores), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1::2], cross_entropy(scores.T), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("firsts", "seconds", "labels"),
    [
        ("q0 q1 q0 q3", "a0 a1 a2 a3", None),
        ("q0 q1 q2 q3", "a0 a1 a0 a3", None),
        ("q0 q1 a0 q3", "a0 a1 a2 a3", None),
        ("q0 q1 q2 q3", "a0 a1 a2 a3", ["x", "", "x", "y"]),
    ],
)
def test_what_may_be_right_is_no_negative(
    firsts: str, seconds: str, labels: list[str] | None
) -> None:
    vectors = unit_vectors(8)
    scores = SCALE * vectors[0::2] @ vectors[1::2].T
    scores[0, 2] = scores[2, 0] = -np.inf
    found = losses_of(pairs_of(firsts.split(), seconds.split(), labels), vectors)
    np.testing.assert_allclose(found[0::2], cross_entropy(scores), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1::2], cross_entropy(scores.T), rtol=1e-4, atol=1e-5)


def test_empty_places_of_a_batch_count_nowhere() -> None:
    vectors = unit_vectors(8)
    examples = pairs_of([f"q{i}" for i in range(4)], [f"a{i}" for i in range(4)])
    found = losses_of(examples, vectors, [1.0] * 6 + [0.0] * 2)
    np.testing.assert_allclose(
        found[:6], losses_of(examples.take([0, 1, 2]), vectors[:6]), rtol=1e-5
    )


def test_graded_pairs_are_ordered() -> None:
    """CoSENT, term by term as its author writes it."""
    vectors, grades = unit_vectors(10), [0.0, 5.0, 2.5, 2.5, 4.0]
    cosines = (vectors[0::2] * vectors[1::2]).sum(axis=1)
    terms = [
        np.exp(SCALE * (cosines[j] - cosines[i]))
        for i in range(5)
        for j in range(5)
        if grades[i] > grades[j]
    ]
    texts = [f"q{i}" for i in range(5)], [f"a{i}" for i in range(5)]
    found = losses_of(pairs_of(*texts, [*map(str, grades)]), vectors)
    np.testing.assert_allclose(found, np.log(1 + np.sum(terms)), rtol=1e-4, atol=1e-5)
    same = losses_of(pairs_of(*texts, ["1.0"] * 5), vectors)
    np.testing.assert_array_equal(same, 0)


def test_texts_of_a_label_are_drawn_together() -> None:
    """Khosla et al. 2020, equation 2; equal texts and lone labels have no part in it."""
    vectors = unit_vectors(6)
    texts, labels = ["a", "b", "c", "d", "a", "e"], ["x", "x", "y", "x", "x", "z"]
    scores, expected = SCALE * vectors @ vectors.T, []
    for i in range(6):
        others = [a for a in range(6) if texts[a] != texts[i]]
        total = np.log(np.sum(np.exp(scores[i, others])))
        right = [p for p in others if labels[p] == labels[i]]
        expected.append(np.mean([total - scores[i, p] for p in right]) if right else 0.0)
    found = losses_of(make_examples(texts, labels), vectors)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# ---- figures ----------------------------------------------------------------------------------


def evaluate(examples: Examples, vectors: np.ndarray) -> Any:
    targets = targets_of(examples)
    loss = float(losses_of(examples, vectors).mean())
    found = EmbedEvaluation(examples.joined(), examples, targets, vectors, loss)
    again = TASK.judge(examples, found.outputs)
    assert again.metrics == pytest.approx(found.metrics, nan_ok=True)
    assert len(found.outputs["embedding"]) == len(TASK.served_texts(examples))
    return found


def test_figures_are_those_of_a_search_through_all_entries() -> None:
    random = np.random.default_rng(3)
    firsts = [f"q{i}" for i in random.integers(0, 25, 40)]
    seconds = [f"a{i}" for i in random.integers(0, 30, 40)]
    vector_of = dict(zip([*firsts, *seconds], unit_vectors(80, 4), strict=True))
    examples = pairs_of(firsts, seconds)
    found = evaluate(examples, np.stack([vector_of[text] for text in apart(examples).texts]))
    pool, places, gains = sorted(set(seconds)), [], []
    for question in firsts:
        right = {b for a, b in zip(firsts, seconds, strict=True) if a == question}
        order = sorted(pool, key=lambda text: -vector_of[question] @ vector_of[text])
        hits = [text in right for text in order]
        places.append(hits.index(True) + 1)
        ideal = sum(1 / np.log2(i + 2) for i in range(min(10, len(right))))
        gains.append(sum(hit / np.log2(i + 2) for i, hit in enumerate(hits[:10])) / ideal)
    at = np.array(places)
    assert found.metrics == pytest.approx(
        {
            "mrr_at_10": np.where(at <= 10, 1 / at, 0).mean(),
            "recall_at_1": (at == 1).mean(),
            "recall_at_5": (at <= 5).mean(),
            "ndcg_at_10": np.mean(gains),
            "loss": found.loss,
            "examples": 40,
        }
    )
    first_right = [row[1] == row[2] for row in found.rows()]
    assert sum(first_right) <= (at == 1).sum() < 40
    assert len(found.mistakes(50)) == (at != 1).sum() == found.mistakes_section().count
    assert set(found.intervals()) == {"mrr_at_10", "recall_at_1", "recall_at_5", "ndcg_at_10"}


def test_single_texts_find_another_of_their_label() -> None:
    angles = np.array([0.0, 0.1, 0.25, 1.5, 1.6, 3.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = evaluate(make_examples([*"abcdef"], [*"xxyyzz"]), vectors)
    assert found.ranking.place.tolist() == [1, 1, 3, 2, 3, 1]
    assert [row[:3] for row in found.rows()] == [*zip("abcdef", "xxyyzz", "xxxzyz", strict=True)]
    assert found.metrics["recall_at_1"] == 0.5 and found.metrics["recall_at_5"] == 1.0


def test_spearman_is_that_of_scipy() -> None:
    vectors, grades = unit_vectors(60, 5), np.random.default_rng(6).integers(0, 6, 30)
    texts = [f"q{i}" for i in range(30)], [f"a{i}" for i in range(30)]
    found = evaluate(pairs_of(*texts, [f"{grade}.0" for grade in grades]), vectors)
    cosines = (vectors[0::2].astype(float) * vectors[1::2]).sum(axis=1)
    assert found.metrics["spearman"] == pytest.approx(spearmanr(grades, cosines)[0])
    assert found.asked.sum() == (grades >= 4).sum()
    assert found.example_metric() is None and found.scatter() is not None
    assert found.mistakes_section().kind == "furthest"


@pytest.mark.parametrize("graded", [False, True])
def test_two_models_are_compared_on_the_same_questions(graded: bool) -> None:
    random = np.random.default_rng(7)
    labels = [f"{grade}.0" for grade in random.integers(0, 6, 20)] if graded else None
    examples = pairs_of([f"q{i}" for i in range(20)], [f"a{i}" for i in range(20)], labels)
    a, b = (evaluate(examples, unit_vectors(40, seed, 3)) for seed in (8, 9))
    pair = TASKS["embed"].compare.load()(a, b)
    assert ("spearman" in pair.a.statistics(np.ones((1, 20)))) == graded
    drawn = np.bincount(random.integers(20, size=20), minlength=20)
    found = pair.a.statistics(drawn[None])["recall_at_1"][0]
    asked = np.repeat(np.flatnonzero(a.asked), drawn[a.asked])
    assert found == pytest.approx(a.per_question["recall_at_1"][asked].mean())
    assert (pair.a.quality <= 0).all() and len(pair.gold) == len(pair.b.answers) == 20


# ---- data -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind", "parsed"),
    [
        ("question\tanswer\nq1\ta1\nq2\ta2\n", PAIRS, [None, None]),
        ("text_a\ttext_b\tscore\nq1\ta1\t0.5\nq2\ta2\t1\n", GRADED, [0.5, 1.0]),
        ("text_a\ttext_b\tlabel\nq1\ta1\tcard\nq2\ta2\t\n", PAIRS, ["card", None]),
        ("text\tlabel\nq1\t1\nq2\t1\n", LABELS, ["1", "1"]),
    ],
)
def test_columns_say_what_is_similar(content: str, kind: str, parsed: list, tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(content)
    examples = read_for(str(path), Columns(), TASKS["embed"].rules)
    assert (kind_of(examples), examples.parsed) == (kind, parsed)


@pytest.mark.parametrize(
    ("content", "wrong", "found"),
    [
        ("question\tanswer\nq1\ta1\n", "there is only one pair of texts", "1 rows of"),
        ("question\tanswer\nq1\ta1\nq1\ta1\n", "there is only one pair of texts", "2 rows of"),
        ("question\tanswer\nq1\ta1\nq2\t\n", "a text is empty", "data.tsv"),
        ("text_a\ttext_b\tscore\na\tb\t5.5\nc\td\t1\n", "is not a number from 0 to 5", "'5.5'"),
        ("text_a\ttext_b\tscore\na\tb\t2\nc\td\t1\ne\tf\tx\n", "is not a number", "'x'"),
        ("text_a\ttext_b\tscore\na\tb\t2\nc\td\t2.0\n", "have the same similarity", "2 rows of"),
        ("text\na\nb\n", "neither pairs of texts nor labels", "text column 'text'"),
        ("text\tlabel\na\tx\nb\t\nc\tx\n", "a single text has no label", "data.tsv"),
        ("text\tlabel\na\tx\nb\tx\n", "there is only one label", "2 rows of"),
        ("text\tlabel\na\tx\nb\ty\n", "no two texts share a label", "2 labels of 2 rows"),
        ("text\tlabel\na\tx\na\tx\nb\ty\n", "no two texts share a label", "2 labels of 3 rows"),
    ],
)
def test_data_without_two_texts_to_compare_are_refused(
    content: str, wrong: str, found: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_splits(str(path), str(path), None, Columns(), 1, TASKS["embed"].rules)
    assert wrong in str(caught.value) and found in str(caught.value)


def test_train_and_dev_must_say_alike_what_is_similar(tmp_path: Path) -> None:
    train, dev = tmp_path / "train.tsv", tmp_path / "dev.tsv"
    train.write_text("text_a\ttext_b\tscore\na\tb\t2\nc\td\t1\n")
    dev.write_text("text_a\ttext_b\na\tb\nc\td\n")
    with pytest.raises(UserError, match="do not say alike what is similar"):
        read_splits(str(train), str(dev), None, Columns(), 1, TASKS["embed"].rules)


def test_settings_that_do_not_fit_are_refused() -> None:
    pairs = pairs_of(["q1", "q2"], ["a1", "a2"])
    with pytest.raises(UserError, match="a batch of one example"):
        Similarity.refuse_settings(pairs, TrainConfig(task="embed", batch_size=1))
    with pytest.raises(UserError, match="only pairs with a similarity"):
        Similarity.refuse_settings(pairs, TrainConfig(task="embed", best_by="spearman"))
    for name, value in (("r_drop", 0.5), ("long_text", "windows"), ("loss", "focal")):
        with pytest.raises(UserError, match="--task embed has no"):
            build(TrainConfig, {"task": "embed", name: value})
    with pytest.raises(UserError, match="--temperature has no effect without --task embed"):
        build(TrainConfig, {"temperature": 0.1})


# ---- files ------------------------------------------------------------------------------------


def test_the_folder_is_one_of_sentence_transformers() -> None:
    """The vectors are those of its modules: transformers, mean pooling, normalisation."""
    run = finished_run("embed")
    read = lambda name: json.loads((run.model / name).read_text())  # noqa: E731
    modules = read("modules.json")
    assert [one["type"].rpartition(".")[2] for one in modules] == [
        *("Transformer", "Pooling", "Normalize")
    ]
    assert all((run.model / one["path"]).is_dir() for one in modules)
    pooling = read("1_Pooling/config.json")
    assert pooling["pooling_mode_mean_tokens"] and not pooling["pooling_mode_cls_token"]
    assert read("sentence_bert_config.json")["max_seq_length"] == run.config.max_length
    assert read("config.json")["architectures"] == ["BertModel"]
    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert "library_name: sentence-transformers" in card and "SentenceTransformer(" in card

    from transformers import AutoTokenizer, TFAutoModel

    texts = ["where is the red card", "房子 here", "lamp"]
    inputs = AutoTokenizer.from_pretrained(run.model)(texts, padding=True, return_tensors="tf")
    states = TFAutoModel.from_pretrained(run.model)(**inputs).last_hidden_state.numpy()
    mask = inputs["attention_mask"].numpy()[:, :, None]
    mean = (states * mask).sum(axis=1) / mask.sum(axis=1)
    import tfpipe

    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(np.stack(tfpipe.load(run.folder)(texts)), expected, atol=1e-5)


def test_tensorboards_projector_has_the_vectors_of_dev() -> None:
    run = finished_run("embed")
    lines = (run.logs / "vectors.tsv").read_text().splitlines()
    metadata = (run.logs / "vectors-metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(metadata) - 1 == len(run.read_dev())
    assert metadata[0] == "text\tgold" and len(lines[0].split("\t")) == 64
    assert "vectors.tsv" in (run.logs / "projector_config.pbtxt").read_text()


def test_a_file_of_pairs_is_predicted_by_its_first_texts(tmp_path: Path) -> None:
    run = finished_run("embed")
    data, out = tmp_path / "data.tsv", tmp_path / "out.jsonl"
    data.write_text("question\tanswer\nwhere is the red card\tx\nlamp\ty\n")
    predict(PredictConfig(run_or_export=str(run.folder), data=str(data), out=str(out)))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["text"] for row in rows] == ["where is the red card", "lamp"]
    assert [np.linalg.norm(row["embedding"]) for row in rows] == pytest.approx([1, 1], abs=1e-4)


def test_doctor_tells_what_vectors_can_be_trained_on(tmp_path: Path) -> None:
    data = write_similar(tmp_path / "pairs.tsv")
    untold = examine(DoctorConfig(subject=str(data)))
    assert any("--task embed" in found.sentence for found in untold.findings)
    told = examine(DoctorConfig(subject=str(data), task="embed"))
    assert not [found for found in told.findings if found.mark == "problem"]
    assert any("pairs of texts" in found.sentence for found in told.findings)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_resumed_with_a_moving_average_is_bit_equal(precision: str, tmp_path: Path) -> None:
    values = {"task": "embed", "ema": 0.9, "precision": precision, "epochs": 2}
    values |= {"batch_size": 16, "max_length": 24, "accumulate": 2}
    found = []
    for name in ("whole", "parts"):
        folder = tmp_path / name
        folder.mkdir()
        config = tiny_config(folder, train=str(write_similar(folder / "pairs.tsv")), **values)
        if name == "parts":
            with pytest.raises(Interrupted):
                train(replace(config, stop_after=1))
            config = TrainConfig(resume=True, output=config.output)
        found.append((train(config).model / "model.safetensors").read_bytes())
    assert found[0] == found[1]
