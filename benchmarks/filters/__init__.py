"""What a filter by access costs the vector search: recall and time for callers who may read less and less.

The truth is computed with numpy from the vectors in the index, so that no index has a part in it. The peers
get the same rows and the same questions.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pgvector import HalfVector
from psycopg import sql

from benchmarks.chunking.splitters import PEERS_PYTHON
from benchmarks.filters.truth import Truth
from benchmarks.large_index.callers import AUDIENCES, NOBODY, ONE_PAGE, Audience
from benchmarks.large_index.made import MISSING, Asked, LargeIndex, available, large_index
from benchmarks.options import Options
from benchmarks.peers.filtered_search import ADMITTED, Job
from benchmarks.report import Report, say
from benchmarks.workbench import environment
from rag_pipeline.database.connection import connect
from rag_pipeline.embeddings import open_embedder

TITLE = "Search by callers who may read a part of it"
_ROOT = Path(__file__).resolve().parents[2]
_K = 10
_PEERS = {"LangChain": "langchain_filter", "LlamaIndex": "llama_index_filter"}
_PEER_MEMORY = "2GB"


@dataclass(frozen=True, slots=True)
class Found:
    """What one system found for one caller: ids for each question, and milliseconds."""

    ids: Sequence[Sequence[str]]
    milliseconds: Sequence[float]

    def percentile(self, share: float) -> float:
        """Return the time below which this share of the questions, in percent, was answered."""
        return float(np.percentile(self.milliseconds, share))


def run(report: Report, options: Options) -> None:
    """Ask every question for every caller, in the product and then in the peers."""
    if not available():
        report.text(MISSING)
        return
    with large_index(options) as index:
        say("the truth")
        truth = Truth.read(index, _K)
        say("rag-pipeline")
        ours, paths = _ours(index)
        tables = {"rag-pipeline": ours}
        if PEERS_PYTHON.exists():
            for name, script in _PEERS.items():
                say(name)
                tables[name] = _peer(index, script)
        else:
            report.text("Skipped: the other systems. Make their environment with `benchmarks/peers/install.sh`.")
        _goals(report, truth, ours)
        _describe(report, index, truth)
        _tables(report, truth, tables, paths)


_Table = dict[str, Found]
"""What was found, by the group of the caller."""


def _ours(index: LargeIndex) -> tuple[_Table, Mapping[str, str]]:
    """Ask the search function without words, as a reader, and say which way it went for each caller."""
    model = open_embedder(index.bench.settings.embedding).model
    table: _Table = {}
    paths: dict[str, str] = {}
    with connect(index.bench.settings, role="rag_reader") as reader:

        def search(asked: Asked, group: str) -> list[str]:
            rows = reader.execute(_SEARCH, (["public", group], _K, HalfVector(asked.vector), model))
            return [chunk_id for (chunk_id,) in rows]

        for asked in index.questions:
            search(asked, AUDIENCES[0].group)
        for group in (*(audience.group for audience in AUDIENCES), ONE_PAGE, NOBODY):
            ids: list[list[str]] = []
            milliseconds: list[float] = []
            for asked in index.questions:
                started = time.perf_counter()
                ids.append(search(asked, group))
                milliseconds.append((time.perf_counter() - started) * 1000)
            table[group] = Found(ids, milliseconds)
            vector = HalfVector(index.questions[0].vector)
            row = reader.execute(_PATH, (["public", group], _K, vector, model)).fetchone()
            paths[group] = row[0] if row else ""
    return table, paths


_SEARCH = """
    select chunk_id from rag.search('', %s, %s, query_vector => %s, query_model => %s) where chunk_id is not null
"""
_PATH = """
    select layers -> 'vector' ->> 'path'
    from rag.search('', %s, %s, query_vector => %s, query_model => %s, explain => true)
    where chunk_id is null
"""


def _peer(index: LargeIndex, script: str) -> _Table:
    """Run a peer's script on the same rows, in a database of its own, which is dropped afterwards."""
    with _database(index) as target, tempfile.NamedTemporaryFile(suffix=".npy") as vectors:
        np.save(vectors, np.stack([asked.vector for asked in index.questions]))
        vectors.flush()
        job = Job(
            source=index.bench.server.url("rag"),
            rows=_rows(index),
            target=target,
            dimensions=len(index.questions[0].vector),
            vectors=vectors.name,
            callers=[audience.column for audience in AUDIENCES],
            k=_K,
        )
        finished = subprocess.run(
            [PEERS_PYTHON, "-m", f"benchmarks.peers.{script}"],
            cwd=_ROOT,
            # What a database administrator would give it to build the graph in memory.
            env=environment() | {"PGOPTIONS": f"-c maintenance_work_mem={_PEER_MEMORY}"},
            input=json.dumps(asdict(job)),
            check=True,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
    lines = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]
    found = {line["caller"]: Found(line["found"], line["milliseconds"]) for line in lines if "caller" in line}
    return {audience.group: found[audience.column] for audience in AUDIENCES}


@contextmanager
def _database(index: LargeIndex) -> Iterator[str]:
    name = "peer"
    with index.bench.administrator("postgres") as administrator:
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        administrator.execute(drop)
        administrator.execute(
            sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name))
        )
        try:
            with index.bench.administrator(name) as connection:
                connection.execute("create extension vector")
            yield index.bench.server.url(name)
        finally:
            administrator.execute(drop)


def _rows(index: LargeIndex) -> str:
    """Return the query for what peers load: id, text, vector and, as metadata, who is admitted."""
    with index.bench.administrator() as connection:
        admitted = sql.SQL(", ").join(
            sql.SQL("case when {} = any (allow) then {} end").format(audience.group, audience.column)
            for audience in AUDIENCES
        )
        query = sql.SQL(_PEER_ROWS).format(
            admitted=admitted, value=ADMITTED, generation=sql.Identifier(f"rag_g{index.generation}")
        )
        return query.as_string(connection)


_PEER_ROWS = """
    select
        encode(document_hash, 'hex') || '-' || encode(local_id, 'hex'),
        chunks.text,
        embedding,
        coalesce(
            (select json_object_agg(name, {value}) from unnest(array[{admitted}]) as name where name is not null),
            '{{}}'
        )
    from {generation}.chunk_vectors
    join {generation}.chunks using (chunk_key)
    join {generation}.documents on documents.doc_key = chunks.doc_key
    join rag.access_lists on access_lists.acl_id = chunk_vectors.acl_id
"""


def _goals(report: Report, truth: Truth, ours: _Table) -> None:
    recalls = {audience: truth.recall(audience.group, ours[audience.group].ids) for audience in AUDIENCES}
    worst = min(recalls, key=lambda audience: recalls[audience])
    report.goal(
        f"recall@{_K}, worst of {len(AUDIENCES)} callers ({worst.name})",
        "≥ 0.95",
        recalls[worst],
        "",
        recalls[worst] >= 0.95,
    )
    few = ours[ONE_PAGE]
    visible = truth.visible(ONE_PAGE)
    complete = float(np.mean([len(set(ids)) == min(visible, _K) for ids in few.ids]))
    report.goal(
        f"a caller who may read {visible} chunks finds all of them, of the questions", "1", complete, "", complete == 1
    )
    hidden = sum(truth.hidden(group, found.ids) for group, found in ours.items())
    report.goal("chunks found that the caller may not read", "0", hidden, "", hidden == 0)


def _describe(report: Report, index: LargeIndex, truth: Truth) -> None:
    made = "kept from an earlier run" if index.seconds is None else f"made and indexed in {index.seconds:.0f} s"
    report.text(
        f"{index.chunks:,} chunks ({made}): {index.passages:,} real passages and their vectors by the default model, "
        "varied: sentences of similar passages mixed, words swapped, vectors mixed alike with noise. The "
        f"{len(index.questions)} questions are those of SciFact and docs_qa, embedded by the model itself. Every "
        f"page is open to one of 300 teams ({truth.lists:,} distinct access lists in all) and to callers who may "
        "read a share of the pages, chosen at random or as those nearest to one page. The search is that of role "
        f"`rag_reader` with a vector alone and k = {_K}, all settings the defaults; a hit counts if it is at least as "
        "near as the last of the exact answer. Milliseconds are those of the caller, for the whole call, one client."
    )


def _tables(report: Report, truth: Truth, tables: Mapping[str, _Table], paths: Mapping[str, str]) -> None:
    def row(audience: Audience) -> list[str | int | float]:
        cells: list[str | int | float] = [audience.name, truth.visible(audience.group)]
        for table in tables.values():
            found = table[audience.group]
            cells += [
                f"{truth.recall(audience.group, found.ids):.3f}",
                f"{found.percentile(50):.1f} / {found.percentile(95):.1f}",
            ]
        return cells

    head = [column for name in tables for column in (f"{name}: recall@{_K}", "p50 / p95 ms")]
    report.table(("the caller may read", "chunks", *head), [row(audience) for audience in AUDIENCES])
    if len(tables) > 1:
        report.text(
            "The peers have the same rows and vectors as `vector`, their own HNSW index with their own defaults (built "
            f"with `maintenance_work_mem` {_PEER_MEMORY}) and a filter on their JSON metadata by one key a caller; "
            "their time is that of their search by vector. Rows returned, mean of the questions, of "
            f"{_K}: "
            + "; ".join(
                f"{name} "
                + ", ".join(f"{np.mean([len(ids) for ids in table[audience.group].ids]):.1f}" for audience in AUDIENCES)
                for name, table in tables.items()
            )
            + " (callers as in the table)."
        )
    ours = tables["rag-pipeline"]
    report.text("Which way the search went, and the time of callers who may read next to nothing, or nothing:")
    report.table(
        ("caller", "way", "p50 ms", "p95 ms"),
        [
            (name, paths[group], ours[group].percentile(50), ours[group].percentile(95))
            for name, group in (
                *((audience.name, audience.group) for audience in AUDIENCES),
                ("one page", ONE_PAGE),
                ("nothing", NOBODY),
            )
        ],
    )
