"""Model card: `model/README.md` of a run, in the format of the Hugging Face hub.

Front matter: https://huggingface.co/docs/hub/model-cards and its model-index specification. The
card may be published, so it has no text of the data and no path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpipe.data.quality import DataReport
from tfpipe.io.atomic import write_text
from tfpipe.report.model_card_body import HUB_NAME, card_body, one_line, slug, source_of
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS

# The hub's names of metrics; all others have the same name.
METRIC_TYPES = {"pearson": "pearsonr", "spearman": "spearmanr"}
# What `--model multilingual` is on the hub.
MULTILINGUAL = "intfloat/multilingual-e5-small"
# Values that are not results of a model.
NO_RESULTS = ("loss", "examples")
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")


def write_card(
    run: Run,
    metrics: Mapping[str, Any],
    data: DataReport,
    settings: Mapping[str, Any],
    texts: Sequence[str],
) -> None:
    """Write the card.

    Args:
        run: The run, with its model saved.
        metrics: The content of metrics.json.
        data: Result of the data check.
        settings: The task's settings in the model's config.json.
        texts: The dev texts, from which the language is guessed.

    Raises:
        OSError: The file cannot be written.
    """
    card = render_card(run, metrics, data, guess_language(texts), settings)
    write_text(run.model / "README.md", card)


def render_card(
    run: Run,
    metrics: Mapping[str, Any],
    data: DataReport,
    language: str | None,
    settings: Mapping[str, Any],
) -> str:
    """Render the card: YAML between two lines `---`, then Markdown.

    Args:
        run: The run, with its model saved.
        metrics: The content of metrics.json.
        data: Result of the data check.
        language: Its code; None where it is unknown.
        settings: The task's settings in the model's config.json, some of them chosen on dev.
    """
    import yaml

    # Folded values would have line breaks, and could look like the closing line.
    front = yaml.safe_dump(
        front_matter(run, metrics, language), sort_keys=False, allow_unicode=True, width=2**20
    )
    return f"---\n{front}---\n\n" + "\n".join(card_body(run, metrics, data, settings)) + "\n"


def front_matter(run: Run, metrics: Mapping[str, Any], language: str | None) -> dict[str, Any]:
    """Return the card's metadata; without a license, which only the data's owner can state."""
    hub = TASKS[run.config.task].hub
    results: list[dict[str, Any]] = [
        {
            "task": {"type": hub.pipeline},
            "dataset": {
                "name": one_line(source_of(run, part)),
                "type": slug(source_of(run, part)),
                "split": part,
            },
            "metrics": [
                {"type": _metric_type(name), "value": value, "name": name}
                for name, value in metrics[part].items()
                if name not in NO_RESULTS and value == value
            ],
        }
        for part in ("dev", "test")
        if metrics.get(part)
    ]
    names = {metric["type"] for result in results for metric in result["metrics"]}
    base = str(run.config.model)
    base = MULTILINGUAL if base == "multilingual" else base
    return {
        **({"language": language} if language else {}),
        "library_name": hub.library,
        "pipeline_tag": hub.pipeline,
        # A path of this machine means nothing elsewhere.
        **({"base_model": base} if HUB_NAME.fullmatch(base) and not Path(base).exists() else {}),
        "tags": ["tfpipe", "tensorflow", "bert", hub.pipeline],
        "metrics": sorted(names),
        "model-index": [{"name": one_line(run.folder.resolve().name), "results": results}],
    }


def guess_language(texts: Sequence[str]) -> str | None:
    """Return `zh` where at least half of the letters are Chinese characters, else None."""
    letters = chinese = 0
    for text in texts:
        if KANA_OR_HANGUL.search(text):
            return None
        letters += sum(map(str.isalpha, text))
        chinese += len(HAN.findall(text))
    return "zh" if letters and chinese >= letters / 2 else None


def _metric_type(name: str) -> str:
    return "f1" if name.endswith("_f1") else METRIC_TYPES.get(name, name)
