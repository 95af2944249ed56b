"""What tfpipe uses of transformers, imported without scikit-learn.

Where transformers finds scikit-learn, its TF classes import it, and SciPy's statistics with it, for
metrics that nothing here uses: a second of computing. Code of this process that imports them itself
gets them; transformers keeps taking scikit-learn for not installed, and so refuses to compute its
deprecated GLUE metrics.
"""

import sys
from contextlib import nullcontext

from tfpipe.imports import without_packages

# A transformers that is loaded already may have found it.
with nullcontext() if "transformers" in sys.modules else without_packages("sklearn"):
    from transformers import (
        AdamWeightDecay,
        BertConfig,
        TFBertForQuestionAnswering,
        TFBertForSequenceClassification,
        TFBertForTokenClassification,
    )

__all__ = [
    "AdamWeightDecay",
    "BertConfig",
    "TFBertForQuestionAnswering",
    "TFBertForSequenceClassification",
    "TFBertForTokenClassification",
]
