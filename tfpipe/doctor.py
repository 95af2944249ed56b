"""`python -m tfpipe.doctor [RUN_OR_EXPORT_OR_FILE]`: check the environment or a file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.standard_output import json_line
from tfpipe.cli import parse, parser_for, run, say
from tfpipe.config import DoctorConfig
from tfpipe.doctoring.findings import Diagnosis
from tfpipe.errors import UserError
from tfpipe.locations import Location, locate

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.doctor")

ABOUT = """Check the environment (packages, Keras, TensorFlow, processor, memory, disk), or a data
file, a run or an export, and print what is ok, what is worth a note and what is a problem.
Exit status: 0 without a problem, 2 with one."""
EXAMPLE = "python -m tfpipe.doctor models/support"


def examine(config: DoctorConfig) -> Diagnosis:
    """Diagnose the subject; raises UserError for one that cannot be examined."""
    if config.subject is None:
        return check_environment()
    found = locate(config.subject)
    # Each kind imports what it needs: the environment may be too broken for the others.
    if found.kind == "file":
        from tfpipe.doctoring.data_file import check_data

        return check_data(config)
    if found.kind == "run":
        from tfpipe.doctoring.run_folder import check_run

        return check_run(config.subject)
    if found.kind == "export":
        from tfpipe.doctoring.export_folder import check_export

        logger.info("opening the export in a process of its own")
        return check_export(found.folder)
    raise unknown_subject(found)


def check_environment() -> Diagnosis:
    """Diagnose packages, libraries and machine."""
    from tfpipe.doctoring.libraries import check_libraries
    from tfpipe.doctoring.machine import check_machine
    from tfpipe.doctoring.packages import check_packages

    logger.info("importing TensorFlow, transformers and Keras Tuner in a process of its own")
    findings = [*check_packages(), *check_libraries(), *check_machine()]
    return Diagnosis("environment", None, findings)


def refuse_target(config: DoctorConfig) -> None:
    """Raise UserError where no rows can be written as asked."""
    from tfpipe.io.tables import check_target

    assert config.rows_to is not None
    if config.subject is None or locate(config.subject).kind != "file":
        raise UserError(
            "--rows-to is for data files",
            f"--rows-to {config.rows_to} with {config.subject or 'no file'}",
            "give a data file, or leave out --rows-to",
        )
    check_target(Path(config.rows_to), "--rows-to", config.overwrite)


def unknown_subject(found: Location) -> UserError:
    """Return the error for a subject that cannot be examined."""
    if found.kind == "missing":
        return UserError(
            "the subject is missing",
            found.path,
            f"{found.suggestion}give a data file, a run, an export, or nothing for the environment",
        )
    return UserError(
        "the folder is neither a run nor an export",
        f"{found.path}: {found.description}",
        "give a folder that tfpipe.train or tfpipe.export named, or a data file",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(DoctorConfig, "tfpipe.doctor", ABOUT, EXAMPLE)
    problems = 0

    def command() -> None:
        nonlocal problems
        config = parse(parser, DoctorConfig, arguments)
        if config.rows_to is not None:
            refuse_target(config)
        try:
            diagnosis = examine(config)
        except ImportError as error:
            raise UserError(
                "a package that is needed for this cannot be imported",
                str(error),
                "python -m tfpipe.doctor says what is wrong with the environment",
            ) from None
        problems = diagnosis.count("problem")
        if config.rows_to is not None:
            from tfpipe.doctoring.data_rows import write_rows

            write_rows(config.rows_to, diagnosis.rows)
            say(f"{len(diagnosis.rows):,} rows are written to {config.rows_to}")
        if config.json:
            print(json_line(diagnosis.as_json()))
        else:
            print("\n".join(diagnosis.as_lines()))

    return run(command) or (2 if problems else 0)


if __name__ == "__main__":
    sys.exit(main())
