"""`tfpipe.compress`: a smaller run of a finished one, whose answers are known beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from transformers import AutoTokenizer, BertTokenizerFast, TFBertForSequenceClassification

from tests.support.runs import copy_run, finished_run
from tfpipe.cli import parse, parser_for
from tfpipe.compress import STATES, _distill, compress, main
from tfpipe.compressing import timing
from tfpipe.compressing.figures import lost_share
from tfpipe.config import CompressConfig, EvaluateConfig, ExportConfig, ReportConfig, build
from tfpipe.data.encoded import flatten
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.export import export
from tfpipe.model import pretrained
from tfpipe.model.stored_weights import save_tensors
from tfpipe.model.text_model import TextModel
from tfpipe.predicting.answer_texts import answer_texts
from tfpipe.predicting.open_local import open_local
from tfpipe.report.sections import Compression
from tfpipe.rewrite_report import report
from tfpipe.run_folder import Run, open_run

# No text of the shared runs has them.
FURTHER = ["zebra", "##zebra", "z", "##z", "дд", "д"]


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are not tested."""
    monkeypatch.setattr(timing, "CALLS", 2)


def with_more_tokens(run: Run, folder: Path) -> Run:
    """A copy of a run whose vocabulary has further tokens, before and behind those of the texts."""
    copy = copy_run(run, folder)
    model = pretrained.load(copy.model)
    tokens = model.tokenizer.vocabulary
    place = len(tokens) // 2
    tokens[place:place] = FURTHER[:3]
    tokens += FURTHER[3:]
    config = type(model.config).from_dict(model.config.to_dict())
    config.vocab_size = len(tokens)
    wider = pretrained.build(config, Tokenizer(WordPiece(tokens)), model.label_names, model.head)
    for new, old in zip(wider.weights, model.weights, strict=True):
        value = old.numpy()
        if "word_embeddings" in new.name:
            more = np.random.default_rng(1).normal(size=(len(FURTHER), value.shape[1]))
            value = np.concatenate([value[:place], more[:3], value[place:], more[3:]])
        new.assign(value)
    pretrained.save(wider, copy.model)
    return copy


def smaller(run: Run, folder: Path, **settings: object) -> tuple[Compression, Run, TextModel]:
    """The figures, the run and the model of a compression."""
    config = CompressConfig(run=str(run.folder), output=str(folder), **settings)  # type: ignore[arg-type]
    found = compress(config)
    done = open_run(str(folder))
    return found, done, pretrained.load(done.model)


def inputs(model: TextModel, run: Run, most: int = 24) -> dict[str, tf.Tensor]:
    dev = run.read_dev()
    pairs = None if dev.text_pairs is None else dev.text_pairs[:most]
    return model.tokenizer(dev.texts[:most], pairs, max_length=run.config.max_length)


def dev_metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.metrics["dev"].items() if name != "loss"}


# ---- vocabulary -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classify", "tag", "embed"])
def test_trimmed_vocabulary_gives_bit_equal_answers(kind: str, tmp_path: Path) -> None:
    run = with_more_tokens(finished_run(kind), tmp_path / "run")
    found, done, model = smaller(run, tmp_path / "small", vocabulary=())
    whole = pretrained.load(run.model)
    kept = model.tokenizer.vocabulary
    # Single letters of ASCII stay, whatever the texts have.
    assert set(whole.tokenizer.vocabulary) - set(kept) == {"zebra", "##zebra", "дд", "д"}
    assert {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "z", "##z"} <= set(kept)
    np.testing.assert_array_equal(
        model.logits(inputs(model, run)), whole.logits(inputs(whole, run))
    )
    assert (found.lost, found.same, found.p_value) == (0.0, 1.0, 1.0)
    assert dev_metrics(done) == pytest.approx(dev_metrics(run))
    assert evaluate(EvaluateConfig(run=str(done.folder))).metrics == pytest.approx(
        done.metrics["dev"]
    )
    assert found.before.vocabulary - found.after.vocabulary == 4
    assert found.before.parameters - found.after.parameters == 4 * model.config.hidden_size
    assert done.data["model"]["vocab_size"] == len(kept)
    assert done.data["model"]["tokenizer"] == model.tokenizer.fingerprint
    texts = ["zebra my card", "card zebras", "дд д z", ""]
    theirs = BertTokenizerFast.from_pretrained(done.model)
    for text, ids in zip(texts, model.tokenizer.tokenize(texts).to_list(), strict=True):
        assert theirs(text, add_special_tokens=False)["input_ids"] == ids
    assert "##z" not in theirs.tokenize("my card") and theirs.tokenize("дд") == ["[UNK]"]


def test_unigram_is_trimmed_to_pieces(tmp_path: Path) -> None:
    run = finished_run("multilingual_pairs")
    found, done, model = smaller(run, tmp_path / "small", vocabulary=())
    whole = pretrained.load(run.model)
    used = set(np.unique(inputs(whole, run, 1000)["input_ids"]).tolist())
    lost = set(whole.tokenizer.vocabulary) - set(model.tokenizer.vocabulary)
    assert 0 < found.after.vocabulary < found.before.vocabulary
    assert found.lost == 0.0 and not lost & {whole.tokenizer.vocabulary[i] for i in used}
    np.testing.assert_array_equal(
        model.logits(inputs(model, run)), whole.logits(inputs(whole, run))
    )
    texts = [*sorted(piece.strip("▁") for piece in lost), "please my card", ""]
    theirs = AutoTokenizer.from_pretrained(done.model)
    for text, ids in zip(texts, model.tokenizer.tokenize(texts).to_list(), strict=True):
        assert theirs(text, add_special_tokens=False)["input_ids"] == ids


def test_pieces_of_further_files_are_kept(tmp_path: Path) -> None:
    run = with_more_tokens(finished_run("classify"), tmp_path / "run")
    file = tmp_path / "more.tsv"
    file.write_text("text\tlabel\nmy zebra\tcard\n", encoding="utf-8")
    _, done, model = smaller(run, tmp_path / "small", vocabulary=(str(file),))
    assert "zebra" in model.tokenizer.vocabulary and "дд" not in model.tokenizer.vocabulary
    assert f"--vocabulary {file}" in (done.folder / "report.html").read_text(encoding="utf-8")


def test_lost_tokens_are_counted_without_special_ones() -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    whole, kept = (
        Tokenizer(WordPiece([*special, *more])) for more in (["a", "b", "c"], ["c", "a"])
    )
    full = np.array([6, 3], np.int32)
    encoded = flatten([(whole(["a b c c", "b"]), full)], whole.frame.pad)
    assert lost_share(encoded, whole, kept) == 2 / 5
    assert lost_share(encoded, whole, whole) == 0.0


# ---- layers and units -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["multilabel", "regress", "tag", "qa", "embed"])
def test_fewer_layers_and_units_of_every_task(kind: str, tmp_path: Path) -> None:
    run = finished_run(kind)
    found, done, model = smaller(run, tmp_path / "small", layers=1, ffn=100)
    whole = pretrained.load(run.model)
    assert (found.after.layers, found.after.ffn) == (1, 100)
    assert (found.before.layers, found.before.ffn) == (2, 256)
    width = model.config.hidden_size
    assert found.before.parameters - found.after.parameters == (
        156 * (2 * width + 1) + 4 * (width * width + width) + 256 * (2 * width + 1) + 5 * width
    )
    # Heads are not pruned here: the queries are those of one of the layers.
    queries = [one.attention.self_attention.query.kernel.numpy() for one in whole.layers]
    (query,) = [one.attention.self_attention.query.kernel.numpy() for one in model.layers]
    assert any(np.array_equal(query, one) for one in queries)
    again = evaluate(EvaluateConfig(run=str(done.folder))).metrics
    assert again == pytest.approx(done.metrics["dev"])
    assert dict(found.after.dev.values) == done.metrics["dev"]
    assert 0 <= found.same <= 1 and found.lost is None
    assert json.loads((done.folder / "compress.json").read_text())["after"]["layers"] == 1


def test_smaller_run_is_stock_tfbert_and_is_exported(tmp_path: Path) -> None:
    run = with_more_tokens(finished_run("classify"), tmp_path / "run")
    _, done, model = smaller(run, tmp_path / "small", vocabulary=(), layers=1, heads=1, ffn=64)
    assert model.config.head_width == 32
    batch = inputs(model, run)
    stock = TFBertForSequenceClassification.from_pretrained(done.model)
    np.testing.assert_allclose(stock(**batch).logits, model.logits(batch), atol=1e-5)
    to = str(tmp_path / "models" / "small")
    config = ExportConfig(run=str(done.folder), to=to, precision="float32", measure_serving=False)
    folder = export(replace(config, require="dev.accuracy>=0")).folder
    texts = run.read_dev().texts
    predictors = [open_local(str(where)) for where in (done.folder, folder)]
    answers = [answer_texts(one, texts, None) for one in predictors]
    np.testing.assert_allclose(answers[0]["scores"], answers[1]["scores"], atol=1e-5)


def test_report_has_the_table_in_both_languages(tmp_path: Path) -> None:
    found, done, _ = smaller(finished_run("classify"), tmp_path / "small", ffn=64)
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="compression"' in page and "python -m tfpipe.compress" in page
    assert [one.batch for one in found.after.latencies] == [1, 8, 32]
    assert all(0 < one.p50 <= one.p95 for one in found.after.latencies)
    assert f"{found.before.parameters:,}" in page and f"{found.after.parameters:,}" in page
    chinese = report(ReportConfig(run=str(done.folder), language="zh")).read_text(encoding="utf-8")
    assert "压缩前后对比" in chinese and "压缩后" in chinese


# ---- the command ----------------------------------------------------------------------------


def read(*arguments: str) -> CompressConfig:
    return parse(parser_for(CompressConfig, "tfpipe.compress", "", ""), CompressConfig, arguments)


def test_vocabulary_takes_any_number_of_files(tmp_path: Path) -> None:
    base = ["run", "--output", "small"]
    assert read(*base).vocabulary is None
    assert read(*base, "--vocabulary").vocabulary == ()
    found = read(*base, "--vocabulary", "a.tsv", "b.tsv", "--layers", "2")
    assert (found.vocabulary, found.layers) == (("a.tsv", "b.tsv"), 2)
    assert read("--vocabulary", "--ffn", "3", *base).vocabulary == ()
    file = tmp_path / "a.yaml"
    file.write_text("vocabulary: [a.tsv]\n")
    assert read(*base, "--config", str(file)).vocabulary == ("a.tsv",)
    file.write_text("vocabulary: true\n")
    with pytest.raises(UserError, match="takes a list"):
        read(*base, "--config", str(file))


def test_the_output_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = [str(finished_run("classify").folder), "--ffn", "255"]
    assert main([*base, "--output", str(tmp_path / "a"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["ffn"] == 255 and found["after"]["dev"]["intervals"]["accuracy"]["low"]
    assert main([*base, "--output", str(tmp_path / "b")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["before", "after"]
    assert any(line.split()[-2:] == ["256", "255"] for line in lines)


def refused(run: Path | str, output: Path, **settings: object) -> str:
    with pytest.raises(UserError) as raised:
        compress(CompressConfig(run=str(run), output=str(output), **settings))  # type: ignore[arg-type]
    assert not output.exists()
    return str(raised.value)


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    run, output = finished_run("classify"), tmp_path / "small"
    assert "nothing is to be made smaller" in refused(run.folder, output)
    found = refused(run.folder, output, layers=2, ffn=256)
    assert "--layers makes nothing smaller" in found and "--ffn makes nothing smaller" in found
    assert "--heads makes nothing smaller" in refused(run.folder, output, heads=2)
    four = copy_run(run, tmp_path / "four")
    settings = json.loads((four.model / "config.json").read_text())
    settings["num_attention_heads"] = 4
    (four.model / "config.json").write_text(json.dumps(settings))
    assert "a multiple of its heads" in refused(four.folder, output, heads=3)
    distill = {"layers": 1, "distill": True}
    assert "--task embed has no --distill" in refused(
        finished_run("embed").folder, output, **distill
    )
    gone = str(tmp_path / "none")
    assert "missing" in refused(run.folder, output, teacher=gone, **distill)
    tag = finished_run("tag").folder
    assert "texts of --task tag cannot be labelled" in refused(tag, output, texts=gone, **distill)
    assert "none" in refused(run.folder, output, texts=gone, **distill)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("text_a\ttext_b\nmy card\tmy money\n", encoding="utf-8")
    found = refused(run.folder, output, texts=str(pairs), **distill)
    assert str(pairs) in found and "text_b" in found
    assert not list(tmp_path.glob("small*"))
    with pytest.raises(UserError, match="--texts has no effect without --distill"):
        build(CompressConfig, {"run": "a", "output": "b", "texts": "c.tsv"})
    assert "gone.tsv" in refused(run.folder, output, vocabulary=("gone.tsv",))
    assert "missing" in refused(tmp_path / "none", output, layers=1)
    inside = copy_run(run, tmp_path / "inside")
    (inside.model / "adapter").mkdir()
    save_tensors({}, inside.model / "adapter" / "adapter_model.safetensors")
    assert "not merged" in refused(inside.folder, output, layers=1)
    assert main([str(run.folder), "--output", str(run.folder), "--layers", "1"]) == 2


def test_distilled_answers_are_nearer_to_those_of_the_run(tmp_path: Path) -> None:
    run, output = finished_run("classify"), tmp_path / "small"
    config = CompressConfig(str(run.folder), str(output), layers=1, ffn=32, distill=True, epochs=4)
    found = compress(config)
    done, pruned = open_run(str(output)), open_run(f"{output}-pruned")
    assert done.config.teacher == str(run.folder) and done.config.model == str(pruned.model)
    assert done.config.teacher_states > 0
    dev = run.read_dev()

    def apart(one: Run) -> float:
        scores = [
            np.asarray(answer_texts(open_local(str(each.folder)), dev.texts, None)["scores"])
            for each in (one, run)
        ]
        return float(np.abs(scores[0] - scores[1]).mean())

    assert apart(done) < apart(pruned)
    assert found.after.layers == 1 and found.after.run == str(output)
    assert json.loads((output / "compress.json").read_text())["after"]["ffn"] == 32
    assert "--distill --layers 1" in (pruned.folder / "report.html").read_text(encoding="utf-8")


def test_layers_are_learnt_of_the_run_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of another teacher, with the weights of the run's own training, either."""
    run = finished_run("classify")
    taken: list[Any] = []
    monkeypatch.setattr("tfpipe.train.train", taken.append)
    config = replace(run.config, teacher="elsewhere", teacher_states=3.0, teacher_relations=2.0)
    source: Any = SimpleNamespace(config=config, folder=run.folder)
    for teacher in (None, str(run.folder), "another"):
        given = CompressConfig(str(run.folder), "small", layers=1, distill=True, teacher=teacher)
        _distill(given, source, run, pretrained.load(run.model))
    found = [(one.teacher, one.teacher_states, one.teacher_relations) for one in taken]
    own = (str(run.folder), STATES, 0.0)
    assert found == [own, own, ("another", 0.0, 0.0)]


def test_texts_are_labelled_by_the_teacher(tmp_path: Path) -> None:
    run, output, texts = finished_run("classify"), tmp_path / "small", tmp_path / "more.tsv"
    more = [f"where is my parcel number {number}" for number in range(12)]
    texts.write_text("\n".join(["text", *more]) + "\n", encoding="utf-8")
    values = {"layers": 1, "distill": True, "epochs": 1, "texts": str(texts)}
    compress(CompressConfig(str(run.folder), str(output), **values))  # type: ignore[arg-type]
    done = open_run(str(output))
    assert done.data["train_rows"] == run.data["train_rows"] + 12
    assert done.data["dev_sha256"] == run.data["dev_sha256"]
