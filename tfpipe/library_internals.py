"""Every private name of another library that this package uses, each behind a function.

A private name can change with any release of its library. Here each has its reason and the release
in which it was seen; `tests/test_library_internals.py` tests what each does, so that an upgrade
that breaks one says which. Private hooks that a subclass overrides are not here but in the
subclass: `tfpipe/training/adamw.py`.

Libraries are imported inside the functions: importing this module costs nothing, and a process
that must not import this package can run the file by its path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def cluster_roles(strategy: Any) -> dict[str, list[str]]:
    """Return the addresses of a parameter server strategy's processes by role.

    TensorFlow 2.21: the public property `cluster_resolver` of this strategy is None. Without it
    the number of workers is unknown, by which batches are shared out.
    """
    roles: dict[str, list[str]] = strategy._cluster_resolver.cluster_spec().as_dict()
    return roles


def keep_tables_on_chief(strategy: Any) -> None:
    """Make lookup tables in a parameter server strategy's scope as outside of it.

    TensorFlow 2.21: no public option does. A table made in the scope has a copy on each worker, and
    the chief, the only process that tokenises texts, cannot use it.
    """
    strategy.extended._resource_creator_scope = lambda: None


def per_replica_spec(spec: Any, replicas: int) -> Any:
    """Return the TypeSpec of a value that has one component of `spec` on each replica.

    TensorFlow 2.21: the class is exported only as the abstract tf.distribute.DistributedValues.
    Without it a training step cannot state its input signature, and is traced for every width.
    """
    from tensorflow.python.distribute.values import PerReplicaSpec

    return PerReplicaSpec(*[spec] * replicas)


def disable_op_determinism() -> None:
    """Undo tf.config.experimental.enable_op_determinism.

    TensorFlow 2.21: the public interface can only enable it. Without it the cost of
    `--deterministic` cannot be measured in the process that trains.
    """
    from tensorflow.python.framework import config

    config.disable_op_determinism()


def cpu_operations() -> list[str]:
    """Return the names of the operations that have a kernel for CPU, sorted.

    TensorFlow 2.21: no public function lists kernels. Without it the export cannot be checked for
    operations that TensorFlow Serving lacks.
    """
    from tensorflow.python.framework import kernels

    listed = kernels.get_all_registered_kernels().kernel
    return sorted({kernel.op for kernel in listed if kernel.device_type in ("CPU", "DEFAULT")})


def create_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Create the step counter, the hyperparameters and the moments of a legacy Keras optimizer.

    tf_keras 2.21: the public `apply_gradients` creates them in the first step only. Without it a
    checkpoint that is restored before that step restores no moments.
    """
    optimizer._create_all_weights(variables)


def replace_dropout(layer: Any, dropout: Callable[..., Any]) -> None:
    """Replace the function by which a Keras dropout layer drops values.

    tf_keras 2.21: a layer's generator cannot be given in public. It has a state that no checkpoint
    holds; without the replacement a resumed run drops other values than one that was not stopped.

    Args:
        layer: The layer.
        dropout: Called with inputs, rate and noise_shape.
    """
    layer._random_generator.dropout = dropout


def as_pytorch_weight(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the name and the array that PyTorch's BERT has for a weight of TFBert.

    transformers 4.54: the public save_pretrained writes whole models of its own classes only.
    Without it a run's model cannot be read by PyTorch.
    """
    import numpy as np
    from transformers import modeling_tf_pytorch_utils as conversion

    torch_name, transpose = conversion.convert_tf_weight_name_to_pt_weight_name(
        name, tf_weight_shape=values.shape
    )
    array = conversion.apply_transpose(transpose, values, pt_to_tf=False)
    return torch_name, np.ascontiguousarray(array)


def keras_of_keras_tuner() -> str:
    """Return the name of the package from which Keras Tuner takes Keras.

    keras_tuner 1.4: no public name refers to it. Without it `tfpipe.doctor` cannot say that Keras
    Tuner takes another Keras than TFBert.
    """
    from keras_tuner.src.backend import keras

    name: str = keras.Model.__module__
    return name.split(".")[0]


def quantized_product(
    inputs: Any, kernel: Any, bias: Any, bound: Any, reach: Any, gelu: bool = False
) -> Any:
    """Multiply by a kernel of int8 with TensorFlow's oneDNN product; call it within a graph.

    TensorFlow 2.21: the operation `_QuantizedMatMul`, which its remapper inserts into graphs, has
    no Python function. Products by its public operations are many times slower than in float32.

    Args:
        inputs: qint8 [T, I] in the range from -bound to bound.
        kernel: qint8 [I, O].
        bias: float32 [O].
        bound: float32, the value of 127 in `inputs`.
        reach: float32 [O], the value of 127 in each column of the kernel.
        gelu: Whether to return the gelu of the product, by erf.

    Returns:
        float32 [T, O].
    """
    import tensorflow as tf

    given = [inputs, kernel, bias, -bound, bound, -reach, reach]
    # Its name must be given: that of the operation begins with an underscore.
    product = tf.compat.v1.get_default_graph().create_op(
        "_QuantizedMatMul",
        [tf.convert_to_tensor(one) for one in given],
        [tf.float32],
        name="product",
        attrs=_attributes_of_product(
            [b"BiasAdd", *([b"GeluExact"] if gelu else []), b"Dequantize"]
        ),
    )
    return product.outputs[0]


def _attributes_of_product(fused: list[bytes]) -> dict[str, Any]:
    """The attributes of a `_QuantizedMatMul` with the fused operations."""
    import tensorflow as tf

    value, several = tf.compat.v1.AttrValue, tf.compat.v1.AttrValue.ListValue
    narrow, wide = (kind.as_datatype_enum for kind in (tf.qint8, tf.float32))
    types = {name: value(type=narrow) for name in ("T1", "T2")}
    types |= {name: value(type=wide) for name in ("Tbias", "U", "Tout")}
    lists = {
        "Tdevice_inputs": [narrow, narrow, wide],
        "Thost_inputs": [wide] * 4,
        "Tdevice_outputs": [wide],
        "Thost_outputs": [],
    }
    types |= {name: value(list=several(type=kinds)) for name, kinds in lists.items()}
    modes = {name: value(s=b"SCALED") for name in ("input_quant_mode", "output_quant_mode")}
    constant = {name: value(b=True) for name in ("is_weight_const", "is_bias_const")}
    return types | modes | constant | {"fused_ops": value(list=several(s=fused))}
