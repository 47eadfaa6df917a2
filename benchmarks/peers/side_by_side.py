"""This project beside LangChain, LlamaIndex and CocoIndex: the same documents, changes, embedder and server."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from benchmarks.corpus import write_corpus
from benchmarks.options import Options
from benchmarks.peers.phases import PHASES, Measured
from benchmarks.report import Cell, Report, median, say
from benchmarks.workbench import Workbench, environment, workbench

TITLE = "Beside LangChain, LlamaIndex and CocoIndex"
_ROOT = Path(__file__).resolve().parents[2]
_PEERS_PYTHON = _ROOT / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class _System:
    """A system in one variant: its script, and the packages whose versions matter."""

    name: str
    script: str
    variant: str
    packages: tuple[str, ...] = ()


_OURS = _System("rag-pipeline", "this_project", "")
_PEERS = (
    _System("CocoIndex, memo by file", "cocoindex_app", "files", ("cocoindex",)),
    _System("CocoIndex, memo by chunk", "cocoindex_app", "chunks"),
    _System("LangChain, cleanup full", "langchain_index", "full", ("langchain-core", "langchain-postgres")),
    _System("LangChain, cleanup incremental", "langchain_index", "incremental"),
    _System(
        "LlamaIndex, upserts and delete",
        "llama_index_pipeline",
        "",
        ("llama-index-core", "llama-index-vector-stores-postgres"),
    ),
)

Phases = dict[str, Measured]


def run(report: Report, options: Options) -> None:
    """Take every system through all phases, in turns, each time from an empty database."""
    installed = _PEERS_PYTHON.exists()
    systems = (_OURS, *_PEERS) if installed else (_OURS,)
    if not installed:
        report.text("The other systems were skipped: make their environment with `benchmarks/peers/install.sh`.")
    documents = 40 if options.quick else options.peer_documents
    results: dict[_System, list[Phases]] = {system: [] for system in systems}
    with workbench() as bench:
        write_corpus(bench.documents, documents)
        for number in range(options.repeats):
            for system in systems:
                say(f"repeat {number + 1}: {system.name}")
                results[system].append(_measure(bench, system))
    _compare(report, results)
    report.text(
        f"{documents:,} generated documents, {options.repeats} runs of each system in turns, medians. All use the same "
        "deterministic embedder (64 dimensions), the same embedded Postgres over its socket, and one process for all "
        "phases of a run; only the refresh itself is timed, imports and start are not. The others cut at headings by "
        "a regular expression; this project parses Markdown and keeps sections, access lists and a history beside the "
        "chunks. *Access of a folder* changes who may read 20 documents, their text stays. Versions: "
        f"{_versions(systems)}."
    )
    _tables(report, results)


def _measure(bench: Workbench, system: _System) -> Phases:
    """Run one system once; its database and its copy of the documents go away afterwards."""
    database = sql.Identifier("peer")
    place = bench.folder / "peer"
    shutil.copytree(bench.documents, place / "documents")
    (place / "state").mkdir()
    with bench.administrator("postgres") as administrator:
        administrator.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(database))
        try:
            with bench.administrator("peer") as connection:
                connection.execute("create extension vector")
                connection.execute("checkpoint")
            python = sys.executable if system is _OURS else _PEERS_PYTHON
            command = [python, "-m", f"benchmarks.peers.{system.script}", place / "documents", place / "state"]
            finished = subprocess.run(
                [*command, bench.server.url("peer"), system.variant],
                cwd=_ROOT,
                env=environment(),
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        finally:
            administrator.execute(sql.SQL("drop database {} with (force)").format(database))
            shutil.rmtree(place)
    lines = (json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{"))
    return {line["phase"]: Measured(**line) for line in lines}


def _compare(report: Report, results: dict[_System, list[Phases]]) -> None:
    """Say how much faster this project is than each of the others, slowest variant aside."""

    def seconds(system: _System, phase: str) -> float:
        return median(phases[phase].seconds for phases in results[system])

    for prefix, cold_goal in (("CocoIndex", 1.0), ("LangChain", 3.0), ("LlamaIndex", 3.0)):
        variants = [system for system in results if system.name.startswith(prefix)]
        for phase, goal in (("cold build", cold_goal), ("no change", 1.0)) if variants else ():
            ratio = min(seconds(system, phase) for system in variants) / seconds(_OURS, phase)
            report.goal(f"{phase}: {prefix}'s time to ours", f"≥ {goal:.0f}", ratio, "×", ratio >= goal)
    ours = [measured for phases in results[_OURS] for measured in phases.values()]
    wrong = sum(measured.ghosts + measured.missing for measured in ours)
    report.goal("ghosts and missing, ours, all phases", "0", wrong, "", wrong == 0)


def _tables(report: Report, results: dict[_System, list[Phases]]) -> None:
    def rows(value: Callable[[list[Measured]], Cell]) -> list[list[Cell]]:
        return [
            [system.name, *(value([phases[phase] for phases in runs]) for phase in PHASES)]
            for system, runs in results.items()
        ]

    columns = tuple(PHASES)
    report.table(("seconds", *columns), rows(lambda runs: median(run.seconds for run in runs)))
    report.table(("texts embedded", *columns), rows(lambda runs: max(run.texts_embedded for run in runs)))
    report.table(("WAL, KB", *columns), rows(lambda runs: median(run.wal_bytes / 1024 for run in runs)))
    report.text(
        "Afterwards, of all chunks in the index: ghosts (what no document says any more, twice the same, or with "
        "another access than the document's) / blocks of the documents that are in no true chunk."
    )
    report.table(
        ("chunks: ghosts / missing", *columns),
        rows(lambda runs: "{0.chunks:,}: {0.ghosts:,} / {0.missing:,}".format(runs[-1])),
    )


def _versions(systems: tuple[_System, ...]) -> str:
    names = ", ".join(repr(package) for system in systems for package in system.packages)
    ours = f"rag-pipeline {importlib.metadata.version('rag-pipeline')}"
    if not names:
        return ours
    program = f"import importlib.metadata as m; print(', '.join(f'{{p}} {{m.version(p)}}' for p in ({names},)))"
    found = subprocess.run([_PEERS_PYTHON, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    return f"{ours}, {found.stdout.strip()}"
