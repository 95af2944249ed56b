"""Every private name of Keras Tuner that this package uses, each behind a function.

A private name can change with any release. Here each has its reason and the release in which it was
seen; `tests/test_library_internals.py` tests what each does. Private hooks that a subclass
overrides or calls are not here but in the subclasses: `persistent_oracle.py` and `oracles.py`.

Keras Tuner is imported inside the functions, because it imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def set_project_folder(oracle: Any, folder: str, name: str) -> None:
    """Set the folder of an oracle's state, `folder`/`name`.

    keras_tuner 1.4: in public only a tuner sets it. Without it an oracle cannot be asked for trials
    without a tuner.
    """
    oracle._set_project_dir(folder, name)


def condition(parent: str, values: Iterable[Any]) -> Any:
    """Return the condition that the hyperparameter `parent` has one of the values.

    keras_tuner 1.4: the public HyperParameters.conditional_scope applies to what is defined within
    it, and conditions on several parents would need nested scopes. Without it `when` of a space has
    no effect.
    """
    from keras_tuner.src.engine.conditions import Parent

    return Parent(parent, list(values))
