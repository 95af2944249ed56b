"""What an adapter is: the few variables that training changes beside a BERT that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.adapters.targets import TARGETS
from tfpipe.model.fused_weights import LowRank, Weights, lay_out


@dataclass(frozen=True)
class AdapterSettings:
    """The settings of an adapter; methods use those that they have.

    Attributes:
        rank: Rank of the change of a kernel; width of a bottleneck; positions of a prefix.
        alpha: Strength of the change, which is scaled by alpha / rank.
        rank_stabilized: Whether it is scaled by alpha / sqrt(rank) instead (rsLoRA, Kalajdzievski
            2023, https://arxiv.org/abs/2312.03732).
        targets: Names of the changed kernels, keys of TARGETS.
        dropout: Dropout of the change's input.
        seed: Seed of the initial values.
        reparametrized: Whether a prefix is trained as the output of a network.
        initial_rank: Rank at the start, of a method that lowers it; 0 for one and a half times.
    """

    rank: int = 8
    alpha: float = 16.0
    rank_stabilized: bool = False
    targets: Sequence[str] = tuple(TARGETS)
    dropout: float = 0.0
    seed: int = 1
    reparametrized: bool = True
    initial_rank: int = 0

    @property
    def scale(self) -> float:
        """The factor of the change."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilized else self.rank)

    def only(self, places: Sequence[str]) -> AdapterSettings:
        """Return them with the targets that a method has; all kernels, the default, are all places.

        Raises:
            UserError: A target is none of the places.
        """
        if tuple(self.targets) == tuple(TARGETS):
            return replace(self, targets=tuple(places))
        if wrong := [name for name in self.targets if name not in places]:
            raise UserError(
                "--adapter-targets names what the method does not change",
                ", ".join(wrong),
                f"give all, or some of {', '.join(places)}, separated by commas",
            )
        return self


class Adapter(tf.Module):
    """Base class of the methods; the registry is ADAPTERS.

    Create it in the strategy's scope, after the weights of the BERT are loaded.

    Attributes:
        method: Name of the method.
        settings: Its settings.
        mergeable: Whether its change can be computed into the weights of the BERT.
        shareable: Whether rows with other adapters of the same base can be in one batch with it.
        positions: Positions of an input that it takes.
        peft_type: The method's name in peft; None where peft does not have it.
    """

    method: ClassVar[str]
    peft_type: ClassVar[str | None] = None
    mergeable: ClassVar[bool] = True
    shareable: ClassVar[bool] = True
    positions: int = 0

    def __init__(self, settings: AdapterSettings, bert: Any):
        """Create the variables.

        Args:
            settings: The settings.
            bert: A transformers TFBert model, built.
        """
        super().__init__(name="adapter")
        self.settings = settings

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:
        """Return what training changes, beside the head, of adapter and BERT."""
        raise NotImplementedError

    def change_of(self, name: str) -> LowRank | None:
        """Return the change of a kernel, by its name in `lay_out`; None for none."""
        return None

    def merge(self, name: str, kernel: tf.Tensor) -> tf.Tensor:
        """Return a kernel, float32 [in, out], with its change in it; see `change_of`."""
        return kernel

    def inserted(self, backbone: Any) -> Weights:
        """Return weights of what is between the layers of the BERT, by their names in a pass."""
        return {}

    def lay_out(
        self, bert: Any, dtype: tf.DType, head: Any = None, merged: bool = False
    ) -> Weights:
        """Lay out the weights of a BERT with this adapter; see `fused_weights.lay_out`.

        Args:
            bert: A transformers TFBert model, built.
            dtype: Type of the matrix products.
            head: The Keras Dense of the output layer; None for a model without one.
            merged: Whether changes of kernels are merged into them, for exports.
        """
        if merged:
            weights = lay_out(bert, dtype, head, self.merge)
        else:
            weights = lay_out(bert, dtype, head, change=self.change_of)
        inserted = self.inserted(bert.bert)
        return weights | {name: tf.cast(value, dtype) for name, value in inserted.items()}

    def reset(self, backbone: Any) -> None:
        """Make the adapter change nothing: its change has been merged into the BERT."""

    # ---- training
    @property
    def state(self) -> Sequence[tf.Variable]:
        """Variables beside the trained ones that a checkpoint of the training keeps."""
        return ()

    def begin(self, steps: int) -> None:
        """Learn the number of steps of the training, before the first."""

    def penalty_gradient(self, variable: tf.Variable) -> tf.Tensor | None:
        """Return the gradient of a penalty on a trained variable; None for none."""
        return None

    def after_step(self, gradients: Sequence[tf.Tensor]) -> None:
        """Change variables after a step, in cross-replica context.

        Args:
            gradients: Of the variables of `trained`, in their order.
        """

    # ---- files
    def describe(self, config: Any) -> dict[str, Any]:
        """Return its entries of peft's adapter_config.json; config: the BertConfig."""
        return {}

    def tensors(self, backbone: Any) -> Mapping[str, Any]:
        """Return what a file of the adapter holds, by PyTorch's names in a BERT.

        Variables; of an adapter that is trained in another form, the tensors of the kept one.
        """
        raise NotImplementedError
