"""`python -m tfpipe.apps.support [tune|export]`: the command line and the web server."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import SupportConfig, SupportExportConfig, SupportTuneConfig
from tfpipe.errors import UserError

MODULE = "tfpipe.apps.support"
ABOUT = """Serve a customer-service page: intents by a classifier, answers from your own table or
index, and a person for the rest. Without --intents it trains, exports and serves the shipped sample
first. `tune` chooses the limits on scores, `export` writes visitors' texts for labelling; both have
--help of their own."""
EXAMPLE = "python -m tfpipe.apps.support --intents models/intents --answers answers.tsv"
TUNE_ABOUT = "Choose the limits on scores by a labelled file, and keep them in --data-dir."
TUNE_EXAMPLE = "python -m tfpipe.apps.support tune --intents models/intents --data dev.tsv"
EXPORT_ABOUT = "Write visitors' texts as a table for labelling, with the intents that they chose."
EXPORT_EXAMPLE = "python -m tfpipe.apps.support export --unsure --out unsure.tsv"
SETTINGS, DATABASE, KEY = "settings.json", "conversations.sqlite", "agent.key"
# Seconds for a server to load its models, and for one that runs already to answer.
READY_SECONDS, TARGET_SECONDS = 600.0, 10.0


@asynccontextmanager
async def opened_models(config: Any, folders: Sequence[Path]) -> AsyncIterator[Any]:
    """Open the models of a configuration, and the server that is started for them.

    Args:
        config: One with `target` and `data_dir`.
        folders: Folder of the classifier, or an empty path, and those of indexes.
    """
    from serving.client import ClientError
    from tfpipe.apps.support.model_server import ModelServer, write_model_config
    from tfpipe.apps.support.models import Models

    target, tasks = config.target, []
    if target is None:
        file = Path(config.data_dir) / "models.config"
        write_model_config(file, [folder for folder in folders if folder.name])
        server = ModelServer(file)
        target = server.target
        tasks.append(asyncio.create_task(server.run()))
    intents, index = (folder.name or None for folder in (*folders, Path())[:2])
    try:
        models = Models(target, intents, index)
    except ClientError as error:
        raise UserError("--target is no address", target, str(error)) from None
    tasks.append(asyncio.create_task(models.watch()))
    try:
        yield models
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await models.close()


async def wait_for_models(models: Any, started: bool) -> None:
    """Wait until every model has answered.

    Args:
        models: The models.
        started: Whether their server was started for them. Another one may be down for a while:
            then the application begins without it.

    Raises:
        UserError: A model is not there.
    """
    from serving.client import DeadlineExceeded, ServerUnavailable

    deadline = time.monotonic() + (READY_SECONDS if started else TARGET_SECONDS)
    while missing := [model for model in models.all if model.version is None]:
        if time.monotonic() > deadline:
            one = missing[0]
            if not started and isinstance(one.failure, ServerUnavailable | DeadlineExceeded):
                say(f"warning: {one.failure} People answer until it does.")
                return
            raise UserError(
                "a model does not answer",
                f"{one.name} at {one.target}: {one.failure}",
                f"{'see model-server.log in --data-dir, and ' if started else ''}check --intents,"
                " --answers and --target",
            )
        await asyncio.sleep(0.1)


def read_sources(config: Any) -> tuple[Any, list[Path]]:
    """Read which answers and models are meant; raises UserError.

    Returns:
        The answers, and the folders for `opened_models`.
    """
    from tfpipe.apps.support.answers import Answers, read_answers

    tables: list[Path] = []
    indexes: list[Path] = []
    for name in filter(None, (config.answers or "").split(",")):
        path = Path(name)
        # With --target an index is on the server, so that here is only its name.
        is_index = path.is_dir() or (config.target is not None and not path.suffix)
        (indexes if is_index else tables).append(path)
    for kind, found in (("tables", tables), ("indexes", indexes)):
        if len(found) > 1:
            names = ", ".join(map(str, found))
            raise UserError(f"there are several {kind} of answers", names, "give one of each kind")
    answers = read_answers(tables[0]) if tables else Answers()
    return answers, [Path(config.intents or ""), *indexes]


def read_key(folder: Path) -> str:
    """Return the word by which agents are known; made at the first start, for its owner alone."""
    path = folder / KEY
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


async def serve(config: SupportConfig) -> None:
    """Serve the page until a signal; raises UserError."""
    from tfpipe.apps.support.decision import read_settings
    from tfpipe.apps.support.http_api import Api
    from tfpipe.apps.support.service import Service
    from tfpipe.apps.support.store import Store
    from tfpipe.apps.support.web_server import listen

    folder = Path(config.data_dir)
    answers, folders = read_sources(config)
    settings = read_settings(folder / SETTINGS)
    store = Store(folder / DATABASE)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        async with opened_models(config, folders) as models:
            key = read_key(folder)
            service = Service(store, models, answers, settings)
            api = Api(service, models, config, key)
            async with listen(api.application(), config.host, config.port) as server:
                await wait_or_stop(wait_for_models(models, config.target is None), stopping)
                use_exports(service, models)
                await server.start_serving()
                url = f"http://{config.host}:{server.sockets[0].getsockname()[1]}"
                print(f"answering at {url}, agents at {url}/agent#{key}", flush=True)
                await stopping.wait()
    finally:
        store.close()


def use_exports(service: Any, models: Any) -> None:
    """Take the limits that the exports bring, and tell what does not fit together."""
    from tfpipe.apps.support.answers import check_intents
    from tfpipe.apps.support.decision import OUTSIDE

    intents, index = (one.version if one else None for one in (models.intents, models.index))
    tuned = service.settings.version
    info = intents.info if intents else {}
    service.settings = service.settings.with_exports(info, index.info if index else {})
    notes = check_intents(service.answers, info["labels"], OUTSIDE) if info.get("labels") else []
    if intents and tuned != intents.number:
        before = f"for version {tuned}" if tuned else "not"
        notes.append(f"the limits were {before} tuned; see `python -m {MODULE} tune --help`")
    for note in notes:
        say(f"note: {note}")


async def wait_or_stop(waiting: Any, stopping: asyncio.Event) -> None:
    """Await, or return at once when the application is to stop."""
    tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(stopping.wait())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def serve_command(arguments: Sequence[str]) -> None:
    """Run the page."""
    config = parse(parser_for(SupportConfig, MODULE, ABOUT, EXAMPLE), SupportConfig, arguments)
    if config.intents is None and config.answers is None:
        from tfpipe.apps.support.sample import make_sample

        config = dataclasses.replace(config, **make_sample(config))
    logging.getLogger("tfpipe").setLevel(logging.INFO)
    asyncio.run(serve(config))


def tune_command(arguments: Sequence[str]) -> None:
    """Choose the limits on scores."""
    parser = parser_for(SupportTuneConfig, f"{MODULE} tune", TUNE_ABOUT, TUNE_EXAMPLE)
    config = parse(parser, SupportTuneConfig, arguments)
    from tfpipe.apps.support.decision import write_settings
    from tfpipe.apps.support.tuning import read_labelled, tune

    texts, gold = read_labelled(config.data)
    answers, folders = read_sources(config)

    async def ask_and_tune() -> dict[str, Any]:
        async with opened_models(config, folders) as models:
            await wait_for_models(models, config.target is None)
            return await tune(config, models, answers, texts, gold)

    found = asyncio.run(ask_and_tune())
    write_settings(Path(config.data_dir) / SETTINGS, found)
    print_metrics(found, as_json=config.json)


def export_command(arguments: Sequence[str]) -> None:
    """Write visitors' texts for labelling."""
    parser = parser_for(SupportExportConfig, f"{MODULE} export", EXPORT_ABOUT, EXPORT_EXAMPLE)
    config = parse(parser, SupportExportConfig, arguments)
    from tfpipe.apps.support.labelling import export_texts

    say(f"{export_texts(config, Path(config.data_dir) / DATABASE)} texts in {config.out}")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "tune": tune_command,
    "export": export_command,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(arguments[0]) if arguments else None
    return run(lambda: command(arguments[1:]) if command else serve_command(arguments))
