"""What an adapter is: the few variables that training changes beside a BERT that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from tfpipe.model.adapters.targets import TARGETS
from tfpipe.model.fused_weights import LowRank


@dataclass(frozen=True)
class AdapterSettings:
    """The settings of an adapter; methods use those that they have.

    Attributes:
        rank: Rank of the change of a kernel.
        alpha: Strength of the change, which is scaled by alpha / rank.
        rank_stabilized: Whether it is scaled by alpha / sqrt(rank) instead (rsLoRA, Kalajdzievski
            2023, https://arxiv.org/abs/2312.03732).
        targets: Names of the changed kernels, keys of TARGETS.
        dropout: Dropout of the change's input.
        seed: Seed of the initial values.
    """

    rank: int = 8
    alpha: float = 16.0
    rank_stabilized: bool = False
    targets: Sequence[str] = tuple(TARGETS)
    dropout: float = 0.0
    seed: int = 1

    @property
    def scale(self) -> float:
        """The factor of the change."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilized else self.rank)


class Adapter(tf.Module):
    """Base class of the methods; the registry is ADAPTERS.

    Create it in the strategy's scope, after the weights of the BERT are loaded.

    Attributes:
        method: Name of the method.
        settings: Its settings.
        uses_settings: Whether rank, alpha, targets and dropout have an effect.
    """

    method: ClassVar[str]
    uses_settings: ClassVar[bool] = True

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

    def reset(self, backbone: Any) -> None:
        """Make the adapter change nothing: its change has been merged into the BERT."""

    def tensors(self, backbone: Any) -> Mapping[str, tf.Variable]:
        """Return what a file of the adapter holds: PyTorch's name of each variable in a BERT."""
        raise NotImplementedError
