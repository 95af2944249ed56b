"""Checks of an export: signatures, metadata, parity, warm-up, memory, commands to serve it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfpipe.doctoring.findings import Diagnosis, Finding, in_units, note, ok, problem, problems_of
from tfpipe.doctoring.proofs import describe_operations, describe_proofs
from tfpipe.doctoring.run_folder import size_of
from tfpipe.doctoring.serving_lines import FLAGS_FILE, read_flags, serving_commands
from tfpipe.doctoring.vocabulary import describe_measured
from tfpipe.errors import UserError
from tfpipe.exporting.info import read_info
from tfpipe.exporting.warmup import REQUESTS_FILE, read_warm_up
from tfpipe.locations import list_versions
from tfpipe.subprocesses import bound
from tfpipe.tasks import TASKS
from tfpipe.text_display import count_of, list_few

WORKER = Path(__file__).with_name("open_export.py")
DEFAULT_LENGTH = 128


def check_export(export: Path) -> Diagnosis:
    """Diagnose FOLDER/NAME/N, which is opened in a process of its own."""
    subject = str(export)
    try:
        content = (export / "saved_model.pb").read_bytes()
        (graph, *_) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    except (OSError, ValueError, DecodeError) as error:
        text = f"saved_model.pb cannot be read: {error}."
        return Diagnosis("export", subject, [problem("saved_model", text)])
    info = read_info(export)
    findings = [*_describe_place(export), *_describe_signatures(graph), *_describe_info(info)]
    found, opening = _open(export, info)
    findings += opening
    findings += describe_labels(info, found)
    findings += describe_operations(export, found)
    findings += describe_proofs(export, info)
    findings.append(describe_warm_up(export))
    size = size_of(export)
    findings.append(ok("size", f"It takes {in_units(size)} on disk.", size))
    try:
        commands = serving_commands(export, graph.signature_def["serving_default"].inputs)
        findings.append(_describe_flags(export))
    except UserError as error:
        return Diagnosis("export", subject, [*findings, *problems_of(error, "flags")])
    return Diagnosis("export", subject, findings, commands)


def _describe_place(export: Path) -> Iterator[Finding]:
    export = export.resolve()
    name, versions = export.parent.name, list_versions(export.parent)
    numbers = ", ".join(map(str, versions))
    if export.name not in map(str, versions):
        text = f"The folder is called {export.name!r}: servers look for versions, FOLDER/NAME/1."
        yield problem("version", text, export.name)
    elif int(export.name) == max(versions):
        text = f"This is version {export.name} of {name} (there: {numbers}); servers take it."
        yield ok("version", text, list(versions))
    else:
        text = f"This is version {export.name} of {name}; servers take {max(versions)} instead"
        yield note(
            "version", f"{text} unless configured otherwise (there: {numbers}).", list(versions)
        )
    left = sorted(path.name for path in export.parent.glob(".*.tmp") if path.is_dir())
    if left:
        text = f"{len(left)} folders there are being written, or were when an export was killed."
        yield note("leftovers", text, left)


def _describe_signatures(graph: saved_model_pb2.MetaGraphDef) -> Iterator[Finding]:
    signatures = {n: s for n, s in graph.signature_def.items() if not n.startswith("__saved_model")}
    if "serving_default" not in signatures:
        text = "There is no signature serving_default, which clients use when they name none."
        yield problem("signatures", text, sorted(signatures))
    for name, signature in sorted(signatures.items(), key=lambda s: s[0] != "serving_default"):
        inputs, outputs = _shapes(signature.inputs), _shapes(signature.outputs)
        taken = ", ".join(f"{n} {shape}" for n, shape in inputs.items()) or "nothing"
        given = ", ".join(f"{n} {shape}" for n, shape in outputs.items())
        text = f"Signature {name} takes {taken} and gives {given}."
        yield ok(f"signatures.{name}", text, {"inputs": inputs, "outputs": outputs})


def _shapes(tensors: Mapping[str, Any]) -> dict[str, str]:
    text = {}
    for name, tensor in sorted(tensors.items()):
        dtype = types_pb2.DataType.Name(tensor.dtype).removeprefix("DT_").lower()
        dtype = {"float": "float32"}.get(dtype, dtype)
        sizes = ("any" if dim.size < 0 else str(dim.size) for dim in tensor.tensor_shape.dim)
        shape = "[?]" if tensor.tensor_shape.unknown_rank else f"[{', '.join(sizes)}]"
        text[name] = f"{dtype} {shape}"
    return text


def _describe_info(info: Mapping[str, Any]) -> Iterator[Finding]:
    if not info:
        text = "It has no info signature: tfpipe.export did not write it."
        yield note("info", text)
        return
    versions = ", ".join(f"{name} {value}" for name, value in info.get("versions", {}).items())
    text = f"Its task is {info.get('task')}, on up to {info.get('max_length')} tokens"
    yield ok("info", f"{text} and was made with {versions or 'unknown versions'}.", info)
    if index := info.get("index"):
        entries, least = count_of(index["entries"], "entry", "entries"), f"{index['floor']:.3g}"
        kind = "has a faiss index" if info.get("task") == "embed" else "is an index"
        text = f"It {kind} of {entries}; an answer has up to {index['top_k']} that score"
        text += f" {least} or more; the share of the vectors in a score is {index['weight']:g}."
        yield ok("index", text, index)
    yield from describe_measured(info.get("unknown_tokens"))


def _open(export: Path, info: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Open the export in a process; return its measurements and the findings."""
    length = str(info.get("max_length") or DEFAULT_LENGTH)
    command = bound([sys.executable, str(WORKER), str(export), length])
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        last = lines[-1] if lines else f"status {done.returncode}"
        text = f"It cannot be opened by TensorFlow alone: {last}"
        return {}, [problem("opening", text, lines[-20:])]
    found = json.loads(done.stdout.splitlines()[-1])
    base, peak = found["base"], found["peak"]
    value = {name: found[name] for name in ("base", "opened", "answered", "peak") if name in found}
    text = f"It opens in {found['seconds_to_open']:.1f} s"
    if "seconds_to_first_answer" in found:
        seconds = found["seconds_to_first_answer"]
        text += f", and {seconds:.1f} s after TensorFlow's import the first answer is computed"
    memory = f"Serving it takes {in_units(peak - base)} of memory"
    if "answered" in found:
        memory += f" ({in_units(found['opened'] - base)} once open, the rest for 32 full texts)"
    memory += f" beyond TensorFlow's own, which is {in_units(base)} in Python."
    return found, [
        ok("opening", f"{text}.", found["seconds_to_open"]),
        ok("memory", memory, value),
    ]


def describe_labels(info: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that the label table fits the answers.

    Args:
        info: The export's metadata.
        found: Measurements of the process that opened it.
    """
    labels = info.get("labels")
    spec = TASKS.get(info.get("task", ""))
    noun = spec.columns_noun if spec else "labels"
    if not isinstance(labels, list) or noun is None:
        # Columns of the task have the same names in all models.
        return
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    columns, answered = found.get("columns"), found.get("labels", [])
    unknown = [label for label in answered if label not in labels]
    if repeated:
        yield problem("labels", f"The label table repeats {', '.join(repeated)}.", labels)
    elif columns not in (None, len(labels)):
        text = f"The label table has {len(labels)} names, and the scores have {columns} columns."
        yield problem("labels", text, labels)
    elif unknown:
        text = f"It answers {unknown[0]!r}, which the label table does not have."
        yield problem("labels", text, labels)
    elif noun == "tags":
        # Two tags, B- and I-, of each type of entity.
        types = sorted({tag.partition("-")[2] for tag in labels} - {""})
        yield ok("labels", f"The types of its entities: {list_few(types, 20, str)}.", labels)
    else:
        text = f"The label table fits the answers: {len(labels)} {noun} ({list_few(labels)})."
        yield ok("labels", text, labels)


def describe_warm_up(export: Path) -> Finding:
    """Check the warm-up requests, which servers replay before the version answers."""
    try:
        count = len(read_warm_up(export))
    except Exception as error:  # TensorFlow's DataLossError, protobuf's DecodeError
        text = f"The warm-up file cannot be read, and servers refuse the version: {error}."
        return problem("warm_up", text)
    file = export / REQUESTS_FILE
    if not count and file.is_file() and file.stat().st_size:
        return problem("warm_up", "The warm-up file holds no whole request: it was cut off.", 0)
    if count:
        return ok("warm_up", f"Servers replay {count} warm-up requests before it answers.", count)
    return note("warm_up", "It has no warm-up requests: the first answers will be slow.", 0)


def _describe_flags(export: Path) -> Finding:
    flags = read_flags(export, str(export))
    if (export / FLAGS_FILE).is_file():
        text = f"Flags were measured for it: {' '.join(flags) or 'none that help'}."
        return ok("flags", text, flags)
    return note("flags", "No server flags were measured for it; the defaults are below.", [])
