"""`--teacher-states` and `--teacher-relations`: what a teacher's layers compute is learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from tests.support.runs import finished_run
from tests.test_distillation import read_history, student_config
from tests.test_encoder import SIX_LAYERS, TINY, build
from tests.test_train_step import TASK, UNEVEN, make_batch, make_model, one_step
from tfpipe.config import TrainConfig
from tfpipe.errors import Interrupted, UserError
from tfpipe.model import pretrained
from tfpipe.model.encoder import Encoder
from tfpipe.tasks.losses import LossSettings
from tfpipe.train import train
from tfpipe.training.distillation import _refuse_other_layers
from tfpipe.training.layer_distillation import (
    TaughtLayers,
    compare_relations,
    compare_states,
    find_ids,
)
from tfpipe.training.losses import TEACHER, DistillLoss

MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)


def random_batch(rows: int = 3, vocabulary: int = 50) -> dict[str, tf.Tensor]:
    ids = np.random.default_rng(1).integers(0, vocabulary, (rows, 7)).astype(np.int32)
    return {
        "input_ids": tf.constant(ids),
        "token_type_ids": tf.zeros(ids.shape, tf.int32),
        "attention_mask": tf.sequence_mask([7, 4, 2], 7, tf.int32),
    }


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("settings", [TINY, SIX_LAYERS], ids=["tiny", "six layers"])
def test_collected_values_are_those_of_stock_tfbert(settings: dict, packed: bool) -> None:
    bert, batch = build(settings), random_batch()
    encoder = Encoder(bert, packed=packed, head=bert.classifier)
    plain = encoder.logits(batch)
    with encoder.collect() as found:
        outputs = encoder.logits(batch)
    np.testing.assert_allclose(outputs, plain, atol=1e-5)
    states = bert(**batch, output_hidden_states=True).hidden_states
    mask = tf.cast(batch["attention_mask"], tf.float32)[:, :, tf.newaxis]
    for number, layer in enumerate(bert.bert.encoder.layer):
        mean = tf.reduce_sum(states[number + 1] * mask, 1) / tf.reduce_sum(mask, 1)
        np.testing.assert_allclose(found[f"layer{number}/mean"], mean, atol=1e-4)
        inside, heads = layer.attention.self_attention, settings["num_attention_heads"]
        for part, dense in (
            ("queries", inside.query),
            ("keys", inside.key),
            ("values", inside.value),
        ):
            rows = tf.reshape(dense(states[number]), [3, 7, heads, -1]) * mask[..., tf.newaxis]
            values = tf.transpose(found[f"layer{number}/{part}"], [0, 2, 1, 3])
            np.testing.assert_allclose(values * mask[..., tf.newaxis], rows, atol=1e-4)
    # After the block nothing is collected.
    encoder.logits(batch)
    assert len(found) == 4 * settings["num_hidden_layers"]


def test_relations_are_compared_in_heads_of_both_widths() -> None:
    random = np.random.default_rng(3)
    own = {name: random.normal(size=(2, 3, 5, 32)) for name in ("queries", "keys", "values")}
    taught = {name: random.normal(size=(2, 2, 5, 32)) for name in own}
    found = compare_relations(
        {f"layer1/{name}": tf.constant(value, tf.float32) for name, value in own.items()},
        {f"layer3/{name}": tf.constant(value, tf.float32) for name, value in taught.items()},
        ("layer1", "layer3"),
        tf.constant(MASK),
    )
    # Widths of 96 and 64 divide into 4 heads of at least 16: of 24 and 16 dimensions.
    expected = np.zeros(2)
    for row, tokens in ((0, 5), (1, 3)):
        for name in own:
            divergences = []
            for head in range(4):
                scores = [
                    part @ part.T / np.sqrt(part.shape[1])
                    for part in (
                        np.split(np.concatenate(side[name][row], 1)[:tokens], 4, 1)[head]
                        for side in (own, taught)
                    )
                ]
                gaps = log_softmax(scores[1], 1) - log_softmax(scores[0], 1)
                divergences.append((softmax(scores[1], 1) * gaps).sum(1).mean())
            expected[row] += np.mean(divergences)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_states_are_compared_with_layers_at_equal_parts_of_the_depth() -> None:
    own = {f"layer{n}/mean": tf.constant([[1.0, 0.0]]) for n in range(2)}
    taught = {f"layer{n}/mean": tf.constant([[0.0, float(n)]]) for n in range(6)}
    # Layers 2 and 5 of 0 to 5: (1 + 4) / 4 and (1 + 25) / 25.
    expected = (5 / 4 + 26 / 25) / 2
    assert float(compare_states(own, taught, 2, 6)[0]) == pytest.approx(expected, rel=1e-5)
    # A model may have more layers than its teacher: three learn from each of two.
    deep = {f"layer{n}/mean": tf.constant([[1.0, 0.0]]) for n in range(6)}
    few = {f"layer{n}/mean": tf.constant([[0.0, n + 1.0]]) for n in range(2)}
    expected = (2 / 1 + 5 / 4) / 2
    assert float(compare_states(deep, few, 6, 2)[0]) == pytest.approx(expected, rel=1e-5)


def test_the_loss_adds_both_and_parts_add_up() -> None:
    teacher, batch = make_model(), make_batch(UNEVEN)
    for variable in teacher.weights:
        variable.assign_add(0.05 * tf.random.stateless_normal(variable.shape, [1, 2]))
    batch |= {TEACHER: teacher.logits(batch)}
    ids = np.arange(teacher.config.vocab_size, dtype=np.int32)

    def loss_of(model: Any, states: float, relations: float) -> DistillLoss:
        layers = TaughtLayers(model, teacher, ids, states, relations)
        return DistillLoss(TASK, LossSettings(), 0.5, 2.0, layers)

    model = make_model()
    values = {
        weights: float(loss_of(model, *weights)(model.logits, batch))
        for weights in ((0.0, 0.0), (2.0, 0.0), (0.0, 3.0), (2.0, 3.0))
    }
    plain = DistillLoss(TASK, LossSettings(), 0.5, 2.0)
    assert values[0.0, 0.0] == pytest.approx(float(plain(model.logits, batch)), rel=1e-6)
    states, relations = (values[pair] - values[0.0, 0.0] for pair in ((2.0, 0.0), (0.0, 3.0)))
    assert states > 0.01 and relations > 0.01
    assert values[2.0, 3.0] - values[0.0, 0.0] == pytest.approx(states + relations, rel=1e-4)
    results = []
    for parts in (1, 3):
        model = make_model()
        results.append(one_step(model, batch, loss_of(model, 2.0, 3.0), parts=parts)[2])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_tokens_are_the_teachers_by_their_names() -> None:
    teacher, student, batch = make_model(), make_model(), make_batch(UNEVEN)
    pieces = teacher.tokenizer.vocabulary
    order = np.random.default_rng(5).permutation(len(pieces))
    own: Any = SimpleNamespace(vocabulary=[pieces[place] for place in order])
    ids = find_ids(own, teacher.tokenizer)
    np.testing.assert_array_equal(ids, order)
    words = student.backbone.embeddings.weight
    words.assign(tf.gather(words, order))
    loss = TaughtLayers(student, teacher, ids, 1.0, 1.0)
    assert float(tf.reduce_max(loss.compare(student.logits, batch)[1])) < 1e-5
    assert (
        float(tf.reduce_max(replace(loss, ids=ids[::-1]).compare(student.logits, batch)[1])) > 0.1
    )
    own.vocabulary.append("elsewhere")
    with pytest.raises(UserError) as raised:
        find_ids(own, teacher.tokenizer)
    assert raised.value.found == f"'elsewhere' and others, 1 of {len(pieces) + 1} tokens"


def test_a_student_with_the_teachers_weights_has_nothing_to_learn(tmp_path: Path) -> None:
    teacher = finished_run("classify")
    config = student_config(
        tmp_path,
        teacher,
        model=str(teacher.model),
        teacher_share=1.0,
        teacher_states=1.0,
        teacher_relations=1.0,
        learning_rate=1e-9,
        strategy="one_device",
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    assert read_history(train(config))[0]["loss"] < 1e-4


@pytest.mark.slow
def test_a_resumed_run_is_bit_equal_on_two_replicas(tmp_path: Path) -> None:
    teacher = finished_run("classify")
    values: dict[str, Any] = {
        "model": str(teacher.model),
        "epochs": 2,
        "teacher_states": 10.0,
        "teacher_relations": 1.0,
        "strategy": "mirrored",
        "devices": 2,
        "adversarial": "fgm",
        "augment": "typos:0.3",
        "accumulate": 2,
    }
    whole = train(student_config(tmp_path, teacher, **values))
    again = str(tmp_path / "again")
    with pytest.raises(Interrupted):
        train(student_config(tmp_path, teacher, **values, output=again, stop_after=1))
    resumed = train(TrainConfig(resume=True, output=again))
    name = "model/model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_layers_that_cannot_be_learnt_are_refused(tmp_path: Path) -> None:
    teacher = finished_run("classify")
    shorter = pretrained.load(teacher.model)
    stock = pretrained.load(teacher.model)
    long = 2 * shorter.config.max_position_embeddings
    config = TrainConfig(model="small", teacher_states=1.0, teacher_relations=1.0)
    _refuse_other_layers(teacher, shorter, shorter, config)

    def refused(model: Any, **values: Any) -> str:
        with pytest.raises(UserError) as raised:
            _refuse_other_layers(teacher, shorter, model, replace(config, **values))
        return f"{raised.value.wrong}: {raised.value.found}"

    assert "longer than the teacher's positions" in refused(shorter, max_length=long)
    stock.config.hidden_act = "mish"
    assert "hidden_act 'mish' in the configuration of small" in refused(stock)
    stock.config.hidden_size = 2 * shorter.config.hidden_size
    assert "--teacher-states needs a teacher of the model's width" in refused(stock)
