"""Several adapters on one served encoder: each row is answered as by its own merged export."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfpipe
from serving.client import AsyncClient, Client, InvalidRequest
from tests.client_run import ask_client
from tests.serving_models import serve as serving
from tests.support.data import write_long_messages, write_messages, write_scoped_messages
from tests.support.runs import finished_run, tiny_config
from tfpipe.config import EvaluateConfig, ExportConfig, build
from tfpipe.doctoring.export_folder import check_export
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.export import Export, export
from tfpipe.exporting.info import read_info
from tfpipe.exporting.shared_export import open_adapter_runs
from tfpipe.exporting.shared_model import NO_SCORE, UNKNOWN_ADAPTER
from tfpipe.exporting.warmup import read_warm_up
from tfpipe.run_folder import Run
from tfpipe.train import train

TEXTS = ["please my card", "money back today !", "rain 天气 where", "", "card " * 40]
# Different ranks, targets, methods, labels and thresholds.
ADAPTERS: dict[str, dict] = {
    "intents": {"adapter": "lora"},
    "weather": {"adapter": "dora", "adapter_rank": 2, "adapter_targets": "value,output"},
    "sizes": {"adapter": "bottleneck", "adapter_rank": 4},
    "biases": {"adapter": "bitfit", "abstain": "auto"},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


def adapted(base: Path, name: str, **settings: object) -> Run:
    # A base that has learnt these messages: few variables learn nothing beside random ones.
    values = {"model": str(finished_run("classify").model), **settings}
    return train(tiny_config(base, **(values | {"output": str(base / name)})))


@pytest.fixture(scope="module")
def runs(base: Path) -> list[Run]:
    messages, two = write_messages(base / "messages.tsv"), base / "two.tsv"
    lines = messages.read_text(encoding="utf-8").replace("\tcard\n", "\trefund\n")
    two.write_text(lines, encoding="utf-8")
    files = {
        "intents": messages,
        "weather": two,
        "sizes": messages,
        "biases": write_scoped_messages(base / "scoped.tsv"),
    }
    return [
        adapted(base, name, train=str(files[name]), **settings)
        for name, settings in ADAPTERS.items()
    ]


def shared_config(runs: list[Run], to: Path, **values: object) -> ExportConfig:
    first, *more = (str(run.folder) for run in runs)
    fixed = {"precision": "float32", "measure_serving": False, "shared": True}
    return ExportConfig(first, tuple(more), str(to), **(fixed | values))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shared(runs: list[Run], base: Path) -> Export:
    return export(shared_config(runs, base / "models" / "many", require="dev.accuracy>0.3"))


@pytest.fixture(scope="module")
def alone(runs: list[Run], base: Path) -> dict[str, Path]:
    """The merged exports of some of the runs."""
    fixed = {"precision": "float32", "measure_serving": False}
    places = {}
    for run in (runs[1], runs[-1]):
        places[run.folder.name] = to = base / "models" / f"alone-{run.folder.name}"
        export(build(ExportConfig, {"run": str(run.folder), "to": str(to), **fixed}))
    return places


def serve(folder: Path | str, texts: list[str], adapters: list[str]) -> dict[str, np.ndarray]:
    model = tf.saved_model.load(str(folder))
    columns = {"text": tf.constant(texts, tf.string), "adapter": tf.constant(adapters, tf.string)}
    found = model.signatures["serving_default"](**columns)
    return {name: values.numpy() for name, values in found.items()}


def test_rows_are_those_of_merged_exports(shared: Export, alone: dict[str, Path]) -> None:
    names = [*ADAPTERS]
    adapters = [name for _ in TEXTS for name in names]
    mixed = serve(shared.folder, [text for text in TEXTS for _ in names], adapters)
    labels = set()
    for name, place in alone.items():
        model = tf.saved_model.load(str(place / "1"))
        expected = model.signatures["serving_default"](text=tf.constant(TEXTS))
        own = {output: values[names.index(name) :: len(names)] for output, values in mixed.items()}
        assert own["label"].tolist() == expected["label"].numpy().tolist()
        np.testing.assert_allclose(own["score"], expected["score"], atol=1e-5)
        width = expected["scores"].shape[1]
        np.testing.assert_allclose(own["scores"][:, :width], expected["scores"], atol=1e-5)
        assert (own["scores"][:, width:] == NO_SCORE).all()
        labels |= {*own["label"].tolist()}
    assert mixed["scores"].shape[1] == 3 and len(labels) > 2


@pytest.fixture(scope="module")
def address(shared: Export) -> Iterator[str]:
    with serving(many=Path(shared.folder).parent) as application:
        yield application.grpc_address


def test_clients_choose_the_adapter_of_each_text(address: str, shared: Export) -> None:
    names = [*ADAPTERS, "unknown"]
    expected = serve(shared.folder, [TEXTS[0]] * len(names), names)
    with Client(address, model="many") as client:
        found = client.classify([TEXTS[0]] * len(names), adapter=names)
        (alone,) = client.classify([TEXTS[0]], adapter="weather")
        with pytest.raises(InvalidRequest, match="Every text needs its own adapter"):
            client.classify(TEXTS, adapter=["weather"])
        with pytest.raises(InvalidRequest, match="adapter"):
            client.classify(TEXTS)
    assert [len(one.scores) for one in found] == [3, 2, 3, 3, 0]
    assert [one.label for one in found] == [label.decode() for label in expected["label"]]
    assert found[4].label == UNKNOWN_ADAPTER and found[4].score == 0
    assert alone.label == found[1].label
    np.testing.assert_allclose(alone.scores, expected["scores"][1][:2], atol=1e-6)

    async def ask() -> list[str]:
        async with AsyncClient(address, model="many") as client:
            answers = await client.classify([TEXTS[0]] * len(names), adapter=names)
        return [one.label for one in answers]

    assert asyncio.run(ask()) == [one.label for one in found]


def test_the_command_line_names_the_labels_of_an_adapter(
    address: str, tmp_path: Path, runs: list[Run]
) -> None:
    to = ("--target", address, "--model", "many")
    (line,) = ask_client("classify", *to, "--adapter", "weather", TEXTS[2])
    assert line["labels"] == runs[1].data["model"]["labels"] and line["label"] in line["labels"]
    (line,) = ask_client("classify", *to, "--adapter", "unknown", TEXTS[2])
    assert line["label"] == UNKNOWN_ADAPTER and not line["scores"]
    rows = tmp_path / "rows.tsv"
    rows.write_text("text\tadapter\nmy card\tintents\nrain\tweather\n", encoding="utf-8")
    window = ("--warmup", "0.1", "--seconds", "0.3")
    (line,) = ask_client("bench", *to, "--data", str(rows), *window)
    assert line["answered"] == line["requests"] > 0


def test_an_unknown_adapter_is_an_error_of_its_row_alone(shared: Export) -> None:
    both = serve(shared.folder, TEXTS[:3], ["biases", "unknown", "weather"])
    known = serve(shared.folder, [TEXTS[0], TEXTS[2]], ["biases", "weather"])
    assert both["label"][1].decode() == UNKNOWN_ADAPTER
    assert both["score"][1] == 0 and (both["scores"][1] == NO_SCORE).all()
    for name, values in known.items():
        kept = both[name][[0, 2]]
        same = kept.tolist() == values.tolist()
        assert same if values.dtype.kind == "O" else np.allclose(kept, values, atol=1e-6)
    nothing = serve(shared.folder, [], [])
    assert {name: values.shape for name, values in nothing.items()} == {
        "label": (0,),
        "score": (0,),
        "scores": (0, 3),
    }


def test_the_info_has_labels_and_metrics_of_each(shared: Export, runs: list[Run]) -> None:
    info = read_info(Path(shared.folder))
    assert info["task"] == "classify" and "labels" not in info
    for run in runs:
        one = info["adapters"][run.folder.name]
        assert one["labels"] == run.data["model"]["labels"]
        assert one["metrics"]["dev"]["accuracy"] == run.metrics["dev"]["accuracy"]
    assert [one["method"] for one in info["adapters"].values()] == [
        "lora",
        "dora",
        "bottleneck",
        "bitfit",
    ]
    assert info["parity"]["fresh_process"]["other_labels"] == 0
    assert {*info["gate"]} == {*ADAPTERS}


def test_warm_up_requests_mix_the_adapters(shared: Export) -> None:
    requests = [log.predict_log.request for log in read_warm_up(Path(shared.folder))]
    assert {name for request in requests for name in request.inputs} == {"text", "adapter"}
    largest = max(requests, key=lambda request: len(request.inputs["text"].string_val))
    assert {*largest.inputs["adapter"].string_val} == {name.encode() for name in ADAPTERS}


def test_the_encoder_is_stored_once(shared: Export, base: Path) -> None:
    def size(folder: Path) -> int:
        files = [folder / "saved_model.pb", *(folder / "variables").glob("*")]
        return sum(file.stat().st_size for file in files)

    one = export(shared_config([Run(base / "intents")], base / "models" / "one"))
    # Of tiny layers an adapter is large: what is stored twice is seen all the same.
    assert size(Path(shared.folder)) < 1.6 * size(Path(one.folder))


def test_commands_for_one_model_refuse_it(shared: Export, base: Path, runs: list[Run]) -> None:
    folder, data = str(shared.folder), str(base / "messages.tsv")
    one = {"run": str(runs[0].folder), "to": str(base / "models" / "gated")}
    for call in (
        lambda: tfpipe.load(folder),
        lambda: evaluate(EvaluateConfig(folder, data=data)),
        lambda: export(ExportConfig(**one, not_worse_than=folder)),
    ):
        with pytest.raises(UserError, match="the export has several adapters") as caught:
            call()
        assert "intents" in caught.value.found


def test_doctor_prints_a_request_with_an_adapter(shared: Export) -> None:
    diagnosis = check_export(Path(shared.folder))
    assert "--adapter intents" in diagnosis.commands[-1].line
    assert not [one for one in diagnosis.findings if one.mark == "problem"]


def test_a_gate_refuses_by_the_adapter(runs: list[Run], base: Path) -> None:
    config = shared_config(runs[1:2], base / "models" / "refused", require="dev.accuracy>1.5")
    with pytest.raises(UserError, match="weather: the model does not reach"):
        export(config)
    assert not list((base / "models" / "refused").glob("[0-9]*"))


def test_adapters_of_the_version_before_stay(shared: Export, runs: list[Run]) -> None:
    to = Path(shared.folder).parent
    with pytest.raises(UserError, match="adapters of .* are missing") as caught:
        export(shared_config(runs[:2], to))
    assert "biases" in caught.value.found
    assert sorted(path.name for path in to.glob("[0-9]*")) == ["1"]


def test_a_version_of_one_run_has_no_adapters(runs: list[Run], alone: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="has no adapters"):
        export(shared_config(runs, alone["weather"]))


def test_windows_of_long_texts(base: Path) -> None:
    train_file = write_long_messages(base / "long.tsv")
    settings = {"train": str(train_file), "long_text": "windows", "epochs": 1}
    long = [
        adapted(base, f"long-{method}", adapter=method, **settings) for method in ("lora", "dora")
    ]
    assert export(shared_config(long, base / "models" / "long")).parity.holds


def refused(folders: list[Path]) -> UserError:
    with pytest.raises(UserError) as caught:
        open_adapter_runs([str(folder) for folder in folders])
    assert caught.value.wrong and caught.value.found and caught.value.fix
    return caught.value


def changed(run: Run, folder: Path, old: str, new: str) -> Path:
    """A copy of a run with another setting."""
    shutil.copytree(run.folder, folder)
    file = folder / "config.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def test_runs_that_cannot_share(runs: list[Run], tmp_path: Path) -> None:
    one = runs[0]
    assert "two adapters have one name" in refused([one.folder, one.folder]).wrong
    longer = changed(one, tmp_path / "longer", "max_length: 16", "max_length: 20")
    assert "--max-length 16 and 20" in refused([one.folder, longer]).found
    prefix = changed(one, tmp_path / "prefix", "task: classify", "task: classify")
    file = prefix / "adapter" / "tfpipe.json"
    file.write_text(file.read_text().replace('"lora"', '"prefix"'))
    assert "cannot be in one batch with others" in refused([prefix]).wrong
    other = changed(one, tmp_path / "other", "task: classify", "task: regress")
    assert "--shared takes runs that classify" in refused([other]).wrong
    trimmed = changed(one, tmp_path / "cut", "trim_vocabulary: false", "trim_vocabulary: true")
    assert "--no-trim-vocabulary" in refused([trimmed]).fix
    of_base = changed(one, tmp_path / "base", "task: classify", "task: classify")
    file = of_base / "adapter" / "tfpipe.json"
    stored = file.read_text()
    file.write_text(stored.replace('"base_sha256": "', '"base_sha256": "0'))
    assert "base model (SHA-256)" in refused([one.folder, of_base]).found
    shutil.rmtree(of_base / "adapter")
    assert "the run has no adapter" in refused([of_base, one.folder]).wrong


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"more_runs": ["b"]}, "several runs are exported with --shared or --ensemble only"),
        ({"shared": True, "not_worse_than": "m/1"}, "--not-worse-than compares one model"),
    ],
)
def test_settings_that_exclude_each_other(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(ExportConfig, {"run": "a", "to": "models/a", **values})


def test_a_narrow_type(runs: list[Run], base: Path) -> None:
    config = shared_config(runs[:1], base / "models" / "narrow")
    done = export(replace(config, precision="float16"))
    assert read_info(Path(done.folder))["precision"]["precision"] == "float16"
