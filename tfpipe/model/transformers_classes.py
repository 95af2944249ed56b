"""What tfpipe uses of transformers, imported without scikit-learn.

Where transformers finds scikit-learn, its TF classes import it, and SciPy's statistics with it, for
metrics that nothing here uses: a second of computing. Code of this process that imports them itself
gets them; transformers keeps taking scikit-learn for not installed, and so refuses to compute its
deprecated GLUE metrics.
"""

import sys
from contextlib import nullcontext

import tf_keras

from tfpipe.errors import UserError
from tfpipe.imports import without_packages

# A transformers that is loaded already may have found it.
with nullcontext() if "transformers" in sys.modules else without_packages("sklearn"):
    from transformers import (
        AdamWeightDecay,
        BertConfig,
        TFBertForMaskedLM,
        TFBertForQuestionAnswering,
        TFBertForSequenceClassification,
        TFBertForTokenClassification,
        TFBertModel,
        is_tf_available,
    )

__all__ = [
    "AdamWeightDecay",
    "BertConfig",
    "TFBertForMaskedLM",
    "TFBertForQuestionAnswering",
    "TFBertForSequenceClassification",
    "TFBertForTokenClassification",
    "TFBertModel",
    "check_libraries",
]


def check_libraries() -> None:
    """Raise UserError where a program has set a library in a way that no model can be built.

    Commands import tfpipe first, which sets what it needs (`tfpipe/library_settings.py`).
    """
    if not is_tf_available():
        raise UserError(
            "transformers was imported without TensorFlow",
            "transformers.is_tf_available() is False in this process",
            "import tfpipe before transformers",
        )
    if tf_keras.backend.floatx() != "float32":
        raise UserError(
            "Keras computes in another type than BERT's weights have",
            f"tf_keras.backend.floatx() is {tf_keras.backend.floatx()}",
            "import tfpipe before tf_keras, or call tf_keras.backend.set_floatx('float32')",
        )
