"""Files of a model of vectors that sentence-transformers reads beside those of transformers."""

from __future__ import annotations

import json
from pathlib import Path

from tfpipe.io.atomic import write_text
from tfpipe.model.encoder import MEAN
from tfpipe.model.text_model import TextModel

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


def write_modules(model: TextModel, folder: Path, max_length: int) -> None:
    """Write the modules: transformers, pooling, normalisation; raises OSError.

    Args:
        model: A model with the head `embedding`.
        folder: The folder that it is saved in.
        max_length: Tokens of an input.
    """
    names = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_MODULE}.{name}"}
        for number, (path, name) in enumerate(names)
    ]
    mean = model.head.pooling == MEAN
    pooling = {
        "word_embedding_dimension": model.columns,
        "pooling_mode_cls_token": not mean,
        "pooling_mode_mean_tokens": mean,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    # It is looked for on the hub where it is missing, although it holds nothing.
    (folder / "2_Normalize").mkdir(exist_ok=True)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    contents = {
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
    }
    for name, content in contents.items():
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
