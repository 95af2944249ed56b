"""Adapters: methods that train few variables beside a BERT that stays as it is."""

from __future__ import annotations

from tfpipe.model.adapters.adalora import AdaLoRA
from tfpipe.model.adapters.adapter import Adapter, AdapterSettings
from tfpipe.model.adapters.bitfit import BitFit
from tfpipe.model.adapters.inserted import Bottleneck, Prefix
from tfpipe.model.adapters.lora import DoRA, LoRA

__all__ = ["ADAPTERS", "Adapter", "AdapterSettings", "LoRA"]

# Of `tfpipe.train --adapter`; tfpipe.config has the names, too, with the settings of each.
ADAPTERS: dict[str, type[Adapter]] = {
    one.method: one for one in (LoRA, DoRA, AdaLoRA, Bottleneck, Prefix, BitFit)
}
