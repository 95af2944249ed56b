"""The best legal BIO sequence, inside the graph: I-X follows B-X or I-X only.

Tags are numbered 0 for O, 1 to T for B of the T types and T + 1 to 2T for I. No transition is
learnt: O and every B may follow anything, so that a step needs the best sequence so far and the
best ones that end in an entity of each type, and no table of all pairs of tags (Viterbi 1967).
"""

from __future__ import annotations

import tensorflow as tf

# Below any sum of log-probabilities, and finite: a difference of infinities is no number.
NEVER = -1e30


def find_best_tags(costs: tf.Tensor, used: tf.Tensor) -> tf.Tensor:
    """Return the legal tags with the highest sum, int32 [B, W], O where a place is not used.

    Args:
        costs: float32 [B, W, 1 + 2T], log-probabilities of the tags or logits.
        used: bool [B, W].
    """
    # Strings live on the CPU, and on another device so many small steps would only wait.
    with tf.device("CPU:0"):
        types = (costs.shape[-1] - 1) // 2
        only_outside = tf.concat([[0.0], tf.fill([2 * types], NEVER)], 0)
        costs = tf.where(used[:, :, None], costs, only_outside)
        greedy = tf.argmax(costs, axis=-1, output_type=tf.int32)
        # A trained model rarely breaks the rule, and the best sequence of all is then the answer.
        return tf.cond(
            tf.reduce_any(_is_illegal(greedy, types)), lambda: _search(costs, types), lambda: greedy
        )


def _is_illegal(tags: tf.Tensor, types: int) -> tf.Tensor:
    """Return bool [B, W]: I-X that does not follow B-X or I-X."""
    before = tf.pad(tags[:, :-1], [[0, 0], [1, 0]])[:, : tf.shape(tags)[1]]
    return (tags > types) & (before != tags) & (before != tags - types)


def _search(costs: tf.Tensor, types: int) -> tf.Tensor:
    steps = tf.shape(costs)[1]
    by_step = tf.transpose(costs, [1, 0, 2])
    rows = tf.shape(costs)[0]
    choices = tf.TensorArray(tf.int32, steps, element_shape=[None])
    goes_on = tf.TensorArray(tf.bool, steps, element_shape=[None, types])

    def forward(
        step: tf.Tensor,
        best: tf.Tensor,
        inside: tf.Tensor,
        choices: tf.TensorArray,
        goes_on: tf.TensorArray,
    ) -> tuple[tf.Tensor, ...]:
        """best: of all sequences so far, [B]; inside: of those that end in each type, [B, T]."""
        outside, begin, more = tf.split(by_step[step], [1, types, types], axis=1)
        begun, continued = best[:, None] + begin, inside + more
        inside = tf.maximum(begun, continued)
        ends = tf.concat([best[:, None] + outside, inside], 1)
        choices = choices.write(step, tf.argmax(ends, axis=1, output_type=tf.int32))
        goes_on = goes_on.write(step, continued > begun)
        return step + 1, tf.reduce_max(ends, axis=1), inside, choices, goes_on

    *_, choices, goes_on = tf.while_loop(
        lambda step, *_: step < steps,
        forward,
        (0, tf.zeros([rows]), tf.fill([rows, types], NEVER), choices, goes_on),
        parallel_iterations=1,
    )
    # Behind the last place an entity cannot go on: what is best there is its choice.
    chosen, continued = choices.stack(), tf.cast(goes_on.stack(), tf.int32)
    tags = tf.TensorArray(tf.int32, steps, element_shape=[None])

    def backward(step: tf.Tensor, forced: tf.Tensor, tags: tf.TensorArray) -> tuple[tf.Tensor, ...]:
        """forced: 1 to T where the place after this one is I of that type, else 0, [B]."""
        type_here = tf.where(forced > 0, forced, chosen[step])
        # O has no column: it is given one of zeros.
        columns = tf.pad(continued[step], [[0, 0], [1, 0]])
        is_inside = tf.gather(columns, type_here, batch_dims=1)
        tags = tags.write(step, type_here + types * is_inside)
        return step - 1, type_here * is_inside, tags

    *_, tags = tf.while_loop(
        lambda step, *_: step >= 0,
        backward,
        (steps - 1, tf.zeros([rows], tf.int32), tags),
        parallel_iterations=1,
    )
    return tf.transpose(tags.stack())
