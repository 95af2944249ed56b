"""The adapter of a run in the real peft on PyTorch, and back."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import tiny_config
from tfpipe.model import pretrained
from tfpipe.model.adapters import peft_folder
from tfpipe.model.presets import make_tiny
from tfpipe.train import train

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="peft and PyTorch are not installed"
)
IDS = [[2, 5, 6, 7, 3], [2, 8, 9, 10, 3]]
# tfpipe turns PyTorch off in its own process.
ASK = """
import sys
import numpy as np, torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import BertForSequenceClassification

base, adapter, labels, made, logits = sys.argv[1:]
model = BertForSequenceClassification.from_pretrained(
    base, num_labels=int(labels), ignore_mismatched_sizes=True
)
if adapter != "none":
    model = PeftModel.from_pretrained(model, adapter)
else:
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(
        task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "output.dense"]
    ))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    model.save_pretrained(made)
ids = torch.tensor(%r)
with torch.no_grad():
    np.save(logits, model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy())
"""


def ask_peft(folder: Path, base: Path, adapter: str, labels: int) -> np.ndarray:
    """Return the logits of IDS by peft; with `adapter` none a new one is written into `made`."""
    arguments = [str(base), adapter, str(labels), str(folder / "made"), str(folder / "logits.npy")]
    hidden = ("USE_TF", "USE_TORCH", "TF_USE_LEGACY_KERAS")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run(
        [sys.executable, "-c", ASK % IDS, *arguments], check=True, env=env | {"USE_TF": "0"}
    )
    return np.load(folder / "logits.npy")


def batch() -> dict[str, np.ndarray]:
    ids = np.array(IDS, np.int32)
    return {
        "input_ids": ids,
        "token_type_ids": np.zeros_like(ids),
        "attention_mask": np.ones_like(ids),
    }


@pytest.mark.parametrize("method", ["lora", "dora", "adalora", "prefix"])
def test_peft_gives_the_logits_of_a_run(method: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    pretrained.save(make_tiny(["x"], ["where is my card", "the parcel please"]), base)
    # `output` alone cannot be named by the ending of its name in peft.
    targets = "value,output" if method == "dora" else "all"
    made = {"adapter": method, "adapter_targets": targets, "model": str(base)}
    config = tiny_config(tmp_path, **made, epochs=1)
    run = train(config)
    own = pretrained.load(run.model)
    found = ask_peft(tmp_path, base, str(run.folder / "adapter"), len(own.label_names))
    np.testing.assert_allclose(own.logits(batch()), found, atol=1e-4)


def test_an_adapter_of_peft_comes_back(tmp_path: Path) -> None:
    base = tmp_path / "base"
    pretrained.save(make_tiny(["x"], ["where is my card", "the parcel please"]), base)
    found = ask_peft(tmp_path, base, "none", 3)
    model = pretrained.load(base, ["a", "b", "c"])
    back = peft_folder.attach(model, peft_folder.read(tmp_path / "made"))
    np.testing.assert_allclose(back.logits(batch()), found, atol=1e-4)
    assert np.abs(back.logits(batch()) - model.logits(batch())).max() > 1e-3
