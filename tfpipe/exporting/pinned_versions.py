"""The versions that a server's config file names: they stay, however old they are."""

from __future__ import annotations

from pathlib import Path

from tfpipe.errors import UserError, did_you_mean


def read_named_versions(config_file: str, base: Path | str) -> frozenset[int]:
    """The versions of FOLDER/NAME that have a label or are asked for by number.

    config_file: in TensorFlow Serving's text format (--model_config_file); base: FOLDER/NAME, or
    its URL. A model there is ours when its name or its base path is. Raises UserError where the
    file cannot be read and where it knows no such model.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    try:
        text = Path(config_file).read_text(encoding="utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise UserError(
            "the file of --model-config cannot be read",
            f"{config_file}: {getattr(error, 'strerror', None) or error}",
            "give the file that the server is started with as --model_config_file",
        ) from None
    models = config.model_config_list.config
    name = Path(base).name
    ours = [m for m in models if m.name == name or _is_same(m.base_path, base)]
    if not ours:
        names = [model.name for model in models]
        raise UserError(
            f"--model-config knows no model {name!r}",
            f"{config_file}: {', '.join(names) or 'no models'}",
            f"{did_you_mean(name, names)}name the model, or its base path, as --to does",
        )
    named: set[int] = set()
    for model in ours:
        named.update(model.version_labels.values())
        named.update(model.model_version_policy.specific.versions)
    return frozenset(named)


def _is_same(base_path: str, base: Path | str) -> bool:
    if isinstance(base, str):
        return base_path.rstrip("/") == base
    return Path(base_path) == base.resolve()
