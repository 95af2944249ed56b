"""Settings of training with an adapter that cannot be combined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpipe.config.settings import Conflict, flag_of
from tfpipe.errors import UserError, did_you_mean

LOW_RANK = (
    "adapter_rank",
    "adapter_alpha",
    "adapter_rslora",
    "adapter_targets",
    "adapter_dropout",
)
# The methods of --adapter with the settings that each has.
ADAPTERS: Mapping[str, Sequence[str]] = {
    "lora": LOW_RANK,
    "dora": LOW_RANK,
    "adalora": tuple(name for name in LOW_RANK if name != "adapter_rslora"),
    "bottleneck": ("adapter_rank", "adapter_targets"),
    "prefix": ("adapter_rank",),
    "bitfit": (),
}


def adapter_conflicts(config: Any) -> Iterator[Conflict]:
    """Yield settings of a TrainConfig that do not fit its adapter, each with its fields' names."""
    name, methods = config.adapter, ", ".join(ADAPTERS)
    if name is not None and name not in ADAPTERS and not Path(name).is_dir():
        yield (
            ("adapter",),
            UserError(
                "--adapter is neither a method nor a folder",
                repr(name),
                f"{did_you_mean(name, ADAPTERS)}give {methods}, or the folder of an adapter",
            ),
        )
    default = type(config)()
    for setting in LOW_RANK:
        owners = [method for method, used in ADAPTERS.items() if setting in used]
        if getattr(config, setting) != getattr(default, setting) and name not in owners:
            flag = flag_of(setting)
            yield (
                (setting, "adapter"),
                UserError(
                    f"{flag} has no effect without --adapter {' or '.join(owners)}",
                    f"{flag} {getattr(config, setting)} with --adapter {name or 'not given'}",
                    f"add --adapter {owners[0]}, or leave out {flag}",
                ),
            )
    frozen = [part for part in ("freeze_layers", "freeze_embeddings") if getattr(config, part)]
    if name and frozen:
        yield (
            ("adapter", *frozen),
            UserError(
                f"--adapter and {flag_of(frozen[0])} exclude each other",
                f"--adapter {name} with {' and '.join(map(flag_of, frozen))}",
                "leave out one of them: beside an adapter the whole model is frozen",
            ),
        )
