"""The verbs that make golden sets grow: questions to accept, and questions that are asked in vain."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.options import as_json, caller_of, caller_option, load_settings
from rag_pipeline.cli.output import print_json, print_notes, print_table
from rag_pipeline.cli.progress import StageProgress

if TYPE_CHECKING:
    from psycopg import Connection

    from rag_pipeline.evaluation import Question
    from rag_pipeline.evaluation.draft import Draft, Unasked
    from rag_pipeline.evaluation.query_log import Logged
    from rag_pipeline.query import Caller, Hits
    from rag_pipeline.settings import Settings

_DRAFTS = {"question": "question", "asked": "asked", "askers": "askers", "expected": "proposed place"}
_GAPS = {
    "question": "question",
    "asked": "asked",
    "askers": "askers",
    "in_vain": "in vain",
    "last_asked": "last",
    "evidence": "evidence",
}
_FILE = click.Path(dir_okay=False, path_type=Path)


def _of_the_log(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of both verbs."""
    for option in (
        click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many; 20 by default."),
        click.option(
            "--askers", type=click.IntRange(1), default=2, metavar="N", help="Only what so many asked; 2 by default."
        ),
        click.option(
            "--days", type=click.IntRange(1, 3660), default=30, metavar="N", help="The last N days; 30 by default."
        ),
        caller_option("Who is to ask: public, user:NAME or group:NAME; repeat for each."),
    ):
        command = option(command)
    return command


@click.command(short_help="Propose golden questions, for a person to accept.")
@_of_the_log
@click.option(
    "--from",
    "origin",
    type=click.Choice(["both", "log", "sections"]),
    default="both",
    help="From what people ask, from sections that no question asks for, or both (the default).",
)
@click.option("--set", "golden", type=_FILE, metavar="F", help="The golden set; else [evaluation] set.")
@click.option("--to", type=_FILE, metavar="F", help="Append the drafts to this file, a line each.")
@as_json
def draft(
    principals: tuple[str, ...],
    days: int,
    askers: int,
    limit: int,
    origin: str,
    golden: Path | None,
    to: Path | None,
    as_json: bool,
) -> None:
    """Propose questions for a golden set: what people ask often, then sections that no question asks for.

    Whatever a draft proposes is what its caller may read. A golden set with a draft in it is refused.
    """
    caller = caller_of(principals)
    settings = load_settings()
    if golden is None and settings.evaluation.set is not None:
        golden = settings.folder / settings.evaluation.set
    known = _known(golden, to)
    with _opened(settings, caller, days, askers) as (connection, search, logged, notes):
        from_log = _from_log(logged, known, search, settings) if origin != "sections" else ()
        found = list(islice(from_log, limit))
        if origin != "log" and len(found) < limit:
            notes = notes if origin == "both" else ()
            found += _from_sections(connection, caller, known, found, limit - len(found), settings)
    lines = [each.line(caller) for each in found]
    if to is not None:
        _append(to, lines)
    if as_json:
        counts = ({"origin": each.origin, "asked": each.asked, "askers": each.askers} for each in found)
        print_json({"drafts": [{"line": line, **numbers} for line, numbers in zip(lines, counts, strict=True)]})
        return
    if found:
        print_table([asdict(each) | {"expected": str(each.expected[0])} for each in found], _DRAFTS)
    print_notes(chain(notes, _next_step(found, to)))


@click.command(short_help="List questions that are asked in vain.")
@_of_the_log
@as_json
def gaps(principals: tuple[str, ...], days: int, askers: int, limit: int, as_json: bool) -> None:
    """List what people asked in vain and for which a search of this caller finds nothing better: what to write about.

    That is, nothing that reaches [answers] min_evidence, or only what a model could not answer from.
    """
    caller = caller_of(principals)
    settings = load_settings()
    from rag_pipeline.evaluation.draft import gaps as found_gaps

    with _opened(settings, caller, days, askers) as (_, search, logged, notes):
        found = list(islice(found_gaps(logged, search, settings.answers.min_evidence), limit))
    if as_json:
        print_json({"gaps": [asdict(gap) for gap in found]})
        return
    if found:
        print_table([asdict(gap) | {"evidence": f"{gap.evidence:.2f}"} for gap in found], _GAPS)
    if not settings.answers.min_evidence:
        notes = (*notes, "[answers] min_evidence is 0, so that whatever is found counts as good")
    print_notes(notes if found else (*notes, "nothing that so many asked is without a good result"))


@contextmanager
def _opened(
    settings: "Settings", caller: "Caller", days: int, askers: int
) -> "Iterator[tuple[Connection[Any], Callable[[str], Hits], tuple[Logged, ...], Sequence[str]]]":
    """Give a session of the pipeline, the caller's search, the log, and what is to be said of the log."""
    from rag_pipeline.database.connection import connect
    from rag_pipeline.database.migrate import prepare
    from rag_pipeline.errors import ConfigurationError
    from rag_pipeline.evaluation.query_log import read_log
    from rag_pipeline.index.generations import generations, in_state, use_generation
    from rag_pipeline.query import Index

    prepare(settings)
    with connect(settings) as connection:
        live = in_state(generations(connection), "live")
        if live is None:
            raise ConfigurationError("nothing is indexed yet; fill the index with: rag-pipeline refresh")
        use_generation(connection, live.number)
        everything = read_log(connection, days, settings.answers.min_evidence)
        logged = tuple(each for each in everything if each.askers >= askers)
        notes = []
        if not settings.queries.log:
            notes.append("the log of questions is off; to see what people ask: [queries] log = true")
        if rare := len(everything) - len(logged):
            notes.append(f"{rare} questions were asked by fewer than {askers}; to see them as well: --askers 1")
        with Index.connect(settings, log=False) as index:
            yield connection, partial(index.search, caller=caller), logged, notes


def _known(golden: Path | None, to: Path | None) -> "tuple[Question, ...]":
    """Return the questions that need not be proposed: those of the set, and those that are proposed already."""
    from rag_pipeline.evaluation import read_golden_set

    files = [] if golden is None else [golden]
    if to is not None and to != golden and to.exists() and to.stat().st_size:
        files.append(to)
    return tuple(question for file in files for question in read_golden_set(file, drafts=True))


def _from_log(
    logged: "Sequence[Logged]", known: "Sequence[Question]", search: "Callable[[str], Hits]", settings: "Settings"
) -> "Iterator[Draft]":
    from rag_pipeline.evaluation.draft import drafts_from_log

    return drafts_from_log(logged, known, search, settings.answers.min_evidence)


def _from_sections(
    connection: "Connection[Any]",
    caller: "Caller",
    known: "Sequence[Question]",
    drafted: "Sequence[Draft]",
    limit: int,
    settings: "Settings",
) -> "Iterator[Draft]":
    """Have a question written for sections that neither a known question nor a draft expects."""
    from rag_pipeline.evaluation.draft import drafts_from_sections, unasked_sections

    places = [*(place for each in known for place in each.expected), *(p for each in drafted for p in each.expected)]
    sections = unasked_sections(connection, caller, places, limit)
    taken = {*(each.id for each in known), *(each.id for each in drafted)}
    with StageProgress("draft") as progress:
        for number, each in enumerate(drafts_from_sections(sections, taken, _writer(settings)), 1):
            progress("questions", number, len(sections))
            yield each


def _writer(settings: "Settings") -> "Callable[[Unasked], str | None]":
    """Return what writes a question for a section: the model of [answers], where there is one."""
    if settings.answers.model is None:
        return lambda _: None
    from rag_pipeline.evaluation.question_writer import QuestionWriter

    return QuestionWriter(settings, settings.answers.model)


def _append(file: Path, lines: "Sequence[dict[str, Any]]") -> None:
    """Append lines to a file, whose last line an editor may have left without an end."""
    from rag_pipeline.errors import ConfigurationError

    try:
        with file.open("ab+") as opened:
            if opened.seek(0, SEEK_END) and opened.seek(-1, SEEK_END) and opened.read() != b"\n":
                opened.write(b"\n")
            opened.writelines(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    except OSError as error:
        raise ConfigurationError(f"the drafts cannot be written: {error}") from error


def _next_step(found: "Sequence[Draft]", to: Path | None) -> Iterator[str]:
    if not found:
        yield "there is nothing to propose"
    elif to is None:
        yield "write them into a file to correct and accept them: --to drafts.jsonl"
    else:
        yield f'{len(found)} drafts are in {to}: correct each line, remove "draft", and move it to the golden set'
