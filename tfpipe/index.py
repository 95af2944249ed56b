"""`python -m tfpipe.index RUN_OR_EXPORT --data FILE --to FOLDER/NAME`: publish a search index."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfpipe import fork_server
from tfpipe.cli import parse, parser_for, print_metrics, run, say, stderr_format
from tfpipe.config import ExportConfig, IndexConfig
from tfpipe.export import ElapsedTime, export, say_next
from tfpipe.locations import Location, locate_model
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.retrieval.tuning import Tuned

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.index")

ABOUT = """Write the entries of a table as FOLDER/NAME/N: a SavedModel that takes texts and answers
with the entries that fit them best. Encoder, vectors and answers are one version; any TensorFlow
Serving runs it. It is reloaded in a fresh process and must rank as a reference in NumPy, and meet
--require and --not-worse-than, before it is published."""
EXAMPLE = """python -m tfpipe.index runs/questions --data faq.tsv --to models/faq \\
    --tune questions.tsv --require "hybrid.recall_at_1>=0.80" --keep 3"""
# Vectors and answers of more entries make a version too large to load and to replace quickly:
# they are put into a faiss index beside the encoder, which clients search.
MOST_ENTRIES = 100_000


@dataclass(frozen=True)
class Index:
    """A published index.

    Attributes:
        folder: Its folder, or its URL in an object store.
        tuned: How entries are ranked, and the figures on --tune.
        entries: Number of entries.
        removed: Numbers of the old versions that were removed.
        in_graph: Whether the graph answers; otherwise clients search the faiss index in `folder`.
    """

    folder: Path | str
    tuned: Tuned
    entries: int
    removed: Sequence[int] = ()
    in_graph: bool = True


def index(config: IndexConfig) -> Index:
    """Publish an index as configured.

    Raises:
        UserError: The configuration, the model, the table or the questions cannot be used, or the
            gate refuses the index.
        RuntimeError: The index does not answer as the reference. Nothing is published either way.
    """
    # TensorFlow is imported for the process of the verification while tables are read here.
    fork_server.prepare(fork_server.TENSORFLOW)
    place = locate_model(config.run_or_export)
    from tfpipe.retrieval.entries import read_entries
    from tfpipe.retrieval.questions import read_questions

    entries = read_entries(config)
    for note in entries.notes:
        logger.info(f"data: note: {note}")
    in_graph = len(entries) <= MOST_ENTRIES
    if not in_graph:
        config = _outside_graph(config, place, len(entries))
    questions = read_questions(config.tune, entries, config.header) if config.tune else None
    with quick_imports():
        from tfpipe.exporting.baseline import find_baseline
        from tfpipe.exporting.published_versions import read_named_versions, remove_old
        from tfpipe.exporting.remote_versions import open_target
        from tfpipe.exporting.server_flags import copy_beside_versions
        from tfpipe.retrieval.build_index import Material, build_index
        from tfpipe.retrieval.faiss_index import build_faiss
        from tfpipe.retrieval.published_index import EMBED, SEARCH, refuse_other_model
        from tfpipe.retrieval.text_encoder import open_encoder
        from tfpipe.retrieval.tuning import check_requirements

    check_requirements(config)
    if config.not_worse_than:
        find_baseline(config.not_worse_than)
    target = open_target(config.to)
    target.refuse_taken(config.version)
    refuse_other_model(target, SEARCH if in_graph else EMBED)
    file = config.model_config
    named = read_named_versions(file, target.base) if file else frozenset()
    with _exported(place.kind, place.folder) as folder, target.folder_for_export() as made:
        encoder = open_encoder(folder, lexical=not config.dense_only)
        build = build_index if in_graph else build_faiss
        tuned = build(Material(config, encoder, entries, questions), made, target.name)
        published = target.publish(made, config.version)
    logger.info(f"published as {published}")
    if isinstance(published, Path):
        copy_beside_versions(published)
    removed = remove_old(target, config.keep, named, published)
    return Index(published, tuned, len(entries), removed, in_graph)


def _outside_graph(config: IndexConfig, place: Location, entries: int) -> IndexConfig:
    """Return the configuration of a faiss index; raises UserError where it cannot be made."""
    with quick_imports():
        from tfpipe.retrieval.faiss_index import check_faiss

    check_faiss(config, place, entries, MOST_ENTRIES)
    logger.info(
        f"note: {entries:,} entries are not put into the graph, which holds up to"
        f" {MOST_ENTRIES:,}: a faiss index of their vectors is written beside the encoder, and"
        " clients search it"
    )
    return replace(config, dense_only=True)


@contextmanager
def _exported(kind: str, folder: Path) -> Iterator[Path]:
    """Yield the folder of an export; a run is exported first, with all proofs of an export."""
    if kind == "export":
        yield folder
        return
    with tempfile.TemporaryDirectory() as made:
        to = str(Path(made, folder.resolve().name))
        done = export(
            ExportConfig(run=str(folder), to=to, precision="float32", measure_serving=False)
        )
        yield Path(done.folder)


def _client_options(done: Index) -> Sequence[str]:
    """Return the options with which the client searches the index."""
    if done.in_graph:
        return ()
    if isinstance(done.folder, str):
        return ("--index", f"a copy of {done.folder}/assets.extra/faiss")
    return ("--index", str(done.folder.resolve()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(IndexConfig, "tfpipe.index", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, IndexConfig, arguments)
        with stderr_format(ElapsedTime()):
            done = index(config)
        if config.json:
            found = {"folder": str(done.folder), "version": int(Path(done.folder).name)}
            found |= {"entries": done.entries, **asdict(done.tuned.search), **done.tuned.metrics}
            print_metrics(found | {"removed": done.removed}, as_json=True)
        else:
            print(done.folder)
            for line in done.tuned.as_lines():
                say(line)
        say_next(done.folder, "search", ["text"], _client_options(done))

    return run(command)


if __name__ == "__main__":
    run_as_process(main)
