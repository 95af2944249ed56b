"""Files that sentence-transformers reads in a model's folder, beside those of transformers."""

from __future__ import annotations

import json
from pathlib import Path

from tfpipe.io.atomic import write_text

# Lines of Markdown for the model card.
CODE = """The folder is one of sentence-transformers, too, and gives the same vectors there:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer('model')  # this folder, or its name on the hub
vectors = model.encode(["Where is my card?"])  # float32 [1, H], of length 1
```

`TFAutoModel.from_pretrained('model')` of transformers gives the last layer. Its mean over the
tokens (or the first token, as `1_Pooling/config.json` says) at length 1 is the vector; the pooler
that it warns of is not used.
""".splitlines()
_MODULE = "sentence_transformers.models"
_POOLING_KINDS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")


def write_modules(
    folder: Path, size: int, mean: bool, normalize: bool, max_length: int | None = None
) -> None:
    """Write the modules of a model's folder: transformers, pooling, normalisation; raises OSError.

    Args:
        folder: The folder.
        size: Numbers of a vector.
        mean: Whether it is the mean of all tokens; else it is the first one's.
        normalize: Whether vectors are brought to length 1.
        max_length: Tokens of a text that are read; None leaves it to the tokenizer's files.
    """
    names = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if normalize:
        names.append(("2_Normalize", "Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_MODULE}.{name}"}
        for number, (path, name) in enumerate(names)
    ]
    used = "mean_tokens" if mean else "cls_token"
    pooling = {f"pooling_mode_{kind}": kind == used for kind in _POOLING_KINDS}
    for path, _ in names[1:]:
        # That of Normalize holds nothing, but is looked for on the hub where it is missing.
        (folder / path).mkdir(exist_ok=True)
    _write(folder / "modules.json", modules)
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": size, **pooling})
    if max_length is not None:
        content = {"max_seq_length": max_length, "do_lower_case": False}
        _write(folder / "sentence_bert_config.json", content)


def _write(path: Path, content: object) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")
