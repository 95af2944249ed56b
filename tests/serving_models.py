"""Small SavedModels and a running server for the tests of serving."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path

import tensorflow as tf

from serving.server.application import Application
from serving.server.flags import parse_flags

LABELS = ["short", "long"]
DTYPES = [
    tf.float32,
    tf.float64,
    tf.int32,
    tf.uint8,
    tf.int16,
    tf.int8,
    tf.complex64,
    tf.int64,
    tf.bool,
    tf.bfloat16,
    tf.uint16,
    tf.complex128,
    tf.float16,
    tf.uint32,
    tf.uint64,
    tf.string,
]


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name=name)


class Classifier(tf.Module):
    """Calls a text long from ten bytes on, in the signatures of an exported classifier."""

    def __init__(self, info: str):
        self.info_text = info
        self.labels = tf.Variable(LABELS)
        self.weights = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def score(self, length):
        length = tf.cast(length, tf.float32)
        scores = tf.nn.softmax(tf.stack([10 - length, length - 10], axis=1) / 5)
        return {
            "label": tf.gather(self.labels, tf.argmax(scores, axis=1)),
            "score": tf.reduce_max(scores, axis=1),
            "scores": scores,
        }

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def classify(self, text):
        return self.score(tf.strings.length(text))

    @tf.function(
        input_signature=[spec([None], tf.string, "text"), spec([None], tf.string, "text_pair")]
    )
    def classify_pairs(self, text, text_pair):
        return self.score(tf.strings.length(text) + tf.strings.length(text_pair))

    @tf.function(input_signature=[])
    def info(self):
        return {"info": tf.constant(self.info_text)}

    @tf.function(input_signature=[spec([None, 3], tf.float32, "x")])
    def multiply(self, x):
        product = tf.matmul(x, self.weights)
        return {"product": product, "total": tf.reduce_sum(product)}

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def refuse(self, text):
        tf.debugging.Assert(False, [text])
        return {"text": tf.identity(text)}

    @tf.function(input_signature=[spec([], tf.int64, "steps")])
    def slow(self, steps):
        _, state = tf.while_loop(
            lambda step, state: step < steps,
            lambda step, state: (step + 1, tf.tanh(tf.matmul(state, state))),
            (tf.constant(0, tf.int64), tf.random.normal([300, 300])),
        )
        return {"sum": tf.reduce_sum(state)}

    @tf.function(input_signature=[spec([None], tf.int64, "steps")])
    def slow_rows(self, steps):
        return {"sum": self.slow(tf.reduce_max(steps))["sum"] + tf.zeros_like(steps, tf.float32)}


def save_classifier(folder: Path, info: dict | None = None, pairs: bool = False) -> None:
    model = Classifier(json.dumps(info or {}))
    signatures = {
        "serving_default": model.classify_pairs if pairs else model.classify,
        "info": model.info,
        "multiply": model.multiply,
        "refuse": model.refuse,
        "slow": model.slow,
        "slow_rows": model.slow_rows,
    }
    tf.saved_model.save(model, str(folder), signatures=signatures)


def save_echo(folder: Path) -> None:
    """One signature for every dtype, of any shape: `x` comes back as `y`."""

    def echo(dtype):
        @tf.function(input_signature=[spec(None, dtype, "x")])
        def signature(x):
            return {"y": tf.identity(x)}

        return signature

    model = tf.Module()
    signatures = {dtype.name: echo(dtype) for dtype in DTYPES}
    model.signatures_kept = list(signatures.values())
    tf.saved_model.save(model, str(folder), signatures=signatures)


@contextlib.contextmanager
def serve(*argv: str, **base_paths: Path):
    """A server in this process: flags as on the command line, models as name=base_path.

    Yields the Application (grpc_address, rest_address, manager, core). Without --port a free one.
    """
    with tempfile.TemporaryDirectory() as folder:
        models = "".join(
            f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
            for name, path in base_paths.items()
        )
        config = Path(folder) / "models.config"
        config.write_text(f"model_config_list {{\n{models}}}\n")
        given = [f"--model_config_file={config}"] if base_paths else []
        application = Application(
            parse_flags(["--port=0", "--drain_seconds=0", "--request_log=off", *given, *argv])
        )
        assert application.start()
        try:
            yield application
        finally:
            application.stop()


v1 = tf.compat.v1


def save_graph(folder: Path, build, tags=("serve",)) -> None:
    """A SavedModel as TensorFlow 1 wrote them.

    `build` makes a graph and returns {name: (method name, inputs, outputs)}, tensors by alias,
    and a main op or None.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        signatures, main_op = build()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            list(tags),
            signature_def_map={
                name: v1.saved_model.build_signature_def(
                    {alias: v1.saved_model.build_tensor_info(t) for alias, t in inputs.items()},
                    {alias: v1.saved_model.build_tensor_info(t) for alias, t in outputs.items()},
                    f"tensorflow/serving/{method}",
                )
                for name, (method, inputs, outputs) in signatures.items()
            },
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=main_op,
        )
        builder.save()


def parse_features():
    """The fed examples, and their features `x` (needed) and `x2` (0 where missing): [batch, 1]."""
    examples = v1.placeholder(tf.string, [None], name="tf_example")
    feature = tf.io.FixedLenFeature([1], tf.float32)
    default = tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0])
    parsed = v1.parse_example(examples, {"x": feature, "x2": default})
    return examples, parsed["x"], parsed["x2"]


def save_half_plus_two(folder: Path, tags=("serve",)) -> None:
    """Save the model of TensorFlow Serving's own tests: x/2 + 2 in signatures of every kind."""

    def build():
        examples, x, x2 = parse_features()
        half, two, three = v1.Variable(0.5), v1.Variable(2.0), v1.Variable(3.0)
        y, y2, y3 = half * x + two, half * x + three, half * x2 + three
        labels = tf.strings.as_string(tf.concat([y, y2], axis=1), precision=1)
        inputs, method = {"inputs": examples}, "classify"
        return {
            "serving_default": ("predict", {"x": x}, {"y": y}),
            "classify_x_to_y": (method, inputs, {"scores": y}),
            "classify_x_to_labels": (method, inputs, {"classes": labels}),
            "classify_x_to_both": (
                method,
                inputs,
                {"classes": labels, "scores": tf.concat([y, y2], axis=1)},
            ),
            "regress_x_to_y": ("regress", inputs, {"outputs": y}),
            "regress_x_to_y2": ("regress", inputs, {"outputs": y2[:, 0]}),
            "regress_x2_to_y3": ("regress", {"inputs": x2}, {"outputs": y3}),
        }, None

    save_graph(folder, build, tags)


def save_misfits(folder: Path) -> None:
    """Signatures that Classify and Regress refuse, before the run or after it."""

    def build():
        examples, x, x2 = parse_features()
        inputs, both = {"inputs": examples}, {"inputs": examples, "more": x}
        text, pair = tf.strings.as_string(x), tf.concat([x, x2], axis=1)
        outputs = {
            "three outputs": {"classes": text, "scores": x, "more": x2},
            "no known output": {"outputs": x},
            "two outputs": {"outputs": x, "more": x2},
            "vector of classes": {"classes": text[:, 0]},
            "numbers as classes": {"classes": x},
            "too many classes": {"classes": tf.tile(text, [2, 1])},
            "cube of scores": {"scores": pair[:, :, None]},
            "text as scores": {"scores": text},
            "too few scores": {"scores": x[:1]},
            "columns differ": {"classes": text, "scores": pair},
            "one tensor for both": {"classes": text, "scores": text},
            "two columns": {"outputs": pair},
            "scalar": {"outputs": tf.reduce_sum(x)},
            "too few numbers": {"outputs": x[:1]},
            "integers": {"outputs": tf.cast(x, tf.int32)},
        }
        signatures = {name: ("predict", inputs, kept) for name, kept in outputs.items()}
        signatures["two inputs"] = ("predict", both, {"scores": x})
        signatures["input of another name"] = ("predict", {"x": examples}, {"scores": x})
        signatures["regress of another name"] = ("predict", {"x": examples}, {"outputs": x})
        signatures["foreign method"] = ("foreign", {"x": x}, {"y": x + 1})
        return signatures, None

    save_graph(folder, build)


def make_example(**features: float) -> tf.train.Example:
    """A tf.Example of one float for each name."""
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[number]))
                for name, number in features.items()
            }
        )
    )


TASK_LABELS = ["angry", "happy", "sad"]


class Tasks(tf.Module):
    """The signatures of exported models of every task, with answers that are plain to see."""

    def __init__(self, labels: list[str]):
        self.info_text = json.dumps({"task": "multilabel", "labels": labels})
        self.labels = labels

    @tf.function(input_signature=[])
    def info(self):
        return {"info": tf.constant(self.info_text)}

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def multilabel(self, text):
        """A label applies to a text that holds its name."""
        named = [tf.strings.regex_full_match(text, f".*{label}.*") for label in self.labels]
        active = tf.stack(named, axis=1)
        return {"scores": tf.where(active, 0.75, 0.25), "active": active}

    @tf.function(
        input_signature=[spec([None], tf.string, "text"), spec([None], tf.string, "text_pair")]
    )
    def regress(self, text, text_pair):
        """Return the length of a text minus that of its pair."""
        difference = tf.strings.length(text) - tf.strings.length(text_pair)
        return {"value": tf.cast(difference, tf.float32)}

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def tag(self, text):
        """Every word in capitals is an entity and is called by itself."""
        words = tf.strings.split(text, " ")
        length = tf.ragged.map_flat_values(tf.strings.length, words, unit="UTF8_CHAR")
        length = tf.cast(length, tf.int32)
        ends = tf.cumsum(length.to_tensor(0) + 1, axis=1) - 1
        end = tf.RaggedTensor.from_tensor(ends, lengths=words.row_lengths())
        kept = tf.ragged.map_flat_values(tf.strings.regex_full_match, words, "[A-Z]+")
        words, length, end = (
            tf.ragged.boolean_mask(values, kept) for values in (words, length, end)
        )
        return {
            "entity": words.to_tensor(""),
            "start": (end - length).to_tensor(-1),
            "end": end.to_tensor(-1),
            "score": tf.ones_like(end, tf.float32).to_tensor(-1.0),
        }

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def search(self, text):
        """Two places: an entry called by the text, and another one where it asks."""
        asks = tf.strings.regex_full_match(text, r".*\?")
        empty = tf.fill(tf.shape(text), "")
        second = tf.where(asks, "faq-2", empty)
        scores = tf.where(asks, tf.constant(0.25), tf.constant(-1.0))
        payload = tf.strings.join(['{"source": "', text, '"}'])
        return {
            "id": tf.stack([text, second], axis=1),
            "answer": tf.stack([tf.strings.upper(text), second], axis=1),
            "score": tf.stack([tf.ones_like(scores) / 2, scores], axis=1),
            "payload": tf.stack([payload, tf.where(asks, "{}", empty)], axis=1),
        }

    @tf.function(
        input_signature=[spec([None], tf.string, "question"), spec([None], tf.string, "context")]
    )
    def answer(self, question, context):
        """The answer is the context's end, as long as the question."""
        end = tf.strings.length(context, unit="UTF8_CHAR")
        start = tf.maximum(0, end - tf.strings.length(question, unit="UTF8_CHAR"))
        return {
            "answer": tf.strings.substr(context, start, end - start, unit="UTF8_CHAR"),
            "start": start,
            "end": end,
            "score": tf.fill(tf.shape(start), 0.5),
        }


def save_task(folder: Path, verb: str, labels: list[str] | None = None) -> None:
    """A model whose serving_default answers the client's verb of that name."""
    model = Tasks(labels or TASK_LABELS)
    signatures = {"serving_default": getattr(model, verb), "info": model.info}
    tf.saved_model.save(model, str(folder), signatures=signatures)
