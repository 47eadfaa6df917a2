"""What must hold between the stages: one predicate a check, evaluated in the step of its own asset.

A check that must stop the publication is blocking and has severity ERROR. An incomplete listing and a
tripped guard only warn, because additions still land. What is checked on the published index is also
enforced by constraints and by `violations` in ``sql/queries/publish.sql``; here it becomes visible.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
from psycopg import Connection
from psycopg.rows import dict_row
from upath import UPath

from rag_pipeline.database.statements import statements
from rag_pipeline.evaluation.compare import Verdict
from rag_pipeline.handover import Changes, Chunked, Embedded, Published, Snapshot
from rag_pipeline.parquet import read_rows
from rag_pipeline.workspace import Workspace

_LOOK_UP = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """What is promised of an asset; a failed one that blocks keeps the assets below from being computed."""

    asset: str
    name: str
    promise: str
    blocks: bool = False


LISTING_COMPLETE = Check("source_snapshot", "listing_complete", "The source was listed to its end.")
UNIQUE_DOCUMENTS = Check("content_hashes", "unique_keys", "No document is listed twice.", blocks=True)
GUARD_NOT_TRIPPED = Check("changed_documents", "guard_not_tripped", "Nothing waits for a person's approval.")
UNIQUE_CHUNKS = Check("chunks", "unique_keys", "No document has two chunks of one key.", blocks=True)
WITHIN_BOUNDS = Check("chunks", "within_bounds", "No chunk is empty or above its budget of tokens.", blocks=True)
DIMENSIONS = Check("embeddings", "dimensions", "Every text has a vector of the generation's length.", blocks=True)
NO_ORPHANS = Check("published_index", "no_orphans", "No row without the row that it belongs to.")
COUNTS_MATCH = Check("published_index", "counts_match", "The index holds what the refresh says.")
RETRIEVAL_EVALUATION = Check(
    "published_index", "retrieval_evaluation", "It is searched no worse than the baseline allows.", blocks=True
)
OF_BUILDING = (
    BUILDING_NO_ORPHANS := Check("building_index", "no_orphans", NO_ORPHANS.promise),
    BUILDING_COUNTS_MATCH := Check("building_index", "counts_match", "Every chunk has its vector and its terms."),
    FOLLOWS := Check("building_index", "follows", "It stands where the live generation stands."),
)


def specs(sources: dg.PartitionsDefinition, *checks: Check) -> list[dg.AssetCheckSpec]:
    """Return checks as Dagster knows them, one result a source: a warning of one is not hidden by another's success."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                check.name,
                asset=check.asset,
                description=check.promise,
                blocking=check.blocks,
                partitions_def=sources,
            )
            for check in checks
        ]


def listing_complete(snapshot: Snapshot) -> dg.AssetCheckResult:
    """Warn when the source could not be listed to its end: then nothing is removed."""
    return _result(
        LISTING_COMPLETE,
        snapshot.complete,
        f"the listing is incomplete, so nothing is removed: {snapshot.reason}",
        warn=True,
        numbers={"listed": snapshot.listed},
    )


def guard_not_tripped(changes: Changes) -> dg.AssetCheckResult:
    """Warn when a suspicious shrink or widening is withheld, with the command that lets it through."""
    source = changes.hashes.snapshot.source
    approve = f"if they are meant, approve them with: rag-pipeline refresh --source {source}"
    withheld = {"deletions": changes.withheld_deletions, "widenings": changes.withheld_widenings}
    problems = [
        f"{count} {kind} are withheld; {approve} --approve-{kind} {count}" for kind, count in withheld.items() if count
    ]
    return _result(GUARD_NOT_TRIPPED, not problems, "; ".join(problems), warn=True, numbers=withheld)


def unique_documents(workspace: Workspace, folder: str) -> dg.AssetCheckResult:
    """Fail when a document's key occurs twice in the manifest."""
    twins = _twins(workspace.file(folder, "manifest.parquet"), ["document_hash"])
    return _result(
        UNIQUE_DOCUMENTS, not twins, f"{twins} documents are listed more than once", numbers={"twins": twins}
    )


def unique_chunks(workspace: Workspace, folder: str) -> dg.AssetCheckResult:
    """Fail when a chunk's key occurs twice in one document."""
    twins = _twins(workspace.file(folder, "chunks.parquet"), ["document_hash", "local_id"])
    return _result(UNIQUE_CHUNKS, not twins, f"{twins} chunks share their key with another", numbers={"twins": twins})


def within_bounds(workspace: Workspace, chunked: Chunked, max_tokens: int) -> dg.AssetCheckResult:
    """Fail when a chunk is empty, or above the budget though it was not forced."""
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    empty = oversized = 0
    for row in read_rows(file, ["tokens", "forced", "start_offset", "end_offset"]):
        empty += row["tokens"] <= 0 or row["end_offset"] <= row["start_offset"]
        oversized += row["tokens"] > max_tokens and not row["forced"]
    return _result(
        WITHIN_BOUNDS,
        not empty and not oversized,
        f"{empty} chunks are empty, {oversized} have more than {max_tokens} tokens",
        numbers={"empty": empty, "oversized": oversized, "largest": chunked.largest},
    )


def dimensions(connection: Connection[Any], workspace: Workspace, embedded: Embedded) -> dg.AssetCheckResult:
    """Fail when a text of this refresh has no vector, or one of another length than the generation's.

    Not when its document is set aside, because the model refuses a text of it.
    """
    changes = embedded.chunked.changes
    query = statements("checks")["fitting_vectors"]
    texts = fitting = 0
    folder = changes.hashes.snapshot.folder
    file = workspace.file(folder, "refused.parquet")
    refused = {row["document_hash"] for row in read_rows(file, ["document_hash"])} if file.exists() else set[bytes]()
    with workspace.file(folder, "chunks.parquet").open("rb") as handle:
        for batch in pq.ParquetFile(handle).iter_batches(_LOOK_UP, columns=["embed_hash", "document_hash"]):
            documents = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            hashes = list({embed_hash for embed_hash, document in documents if document not in refused})
            values = {"generation": changes.generation, "model": embedded.model, "hashes": hashes}
            (found,) = connection.execute(query, values).fetchone() or (0,)
            texts += len(hashes)
            fitting += found
    return _result(
        DIMENSIONS,
        texts == fitting,
        f"{texts - fitting} of {texts} texts have no vector of the generation's length",
        numbers={"texts": texts, "fitting": fitting},
    )


def no_orphans(connection: Connection[Any], check: Check = NO_ORPHANS) -> dg.AssetCheckResult:
    """Fail when the generation that the connection reads holds a row whose parent is gone."""
    with connection.cursor(row_factory=dict_row) as cursor:
        orphans = cursor.execute(statements("checks")["orphans"]).fetchone() or {}
    found = ", ".join(f"{count} {kind}" for kind, count in orphans.items())
    return _result(check, not any(orphans.values()), f"rows without a parent: {found}", numbers=orphans)


def retrieval_evaluation(verdict: Verdict | None) -> dg.AssetCheckResult:
    """Fail when the gate was closed; the questions that fell are in its metadata. No verdict: no row was touched.

    Where the documents lie that a question expects is not: a reader of this need not be allowed to know them.
    """
    if verdict is None:
        return _result(RETRIEVAL_EVALUATION, True, "", numbers={"compared": 0})
    numbers: dict[str, int | float] = {
        "compared": verdict.compared,
        "max_drop": verdict.max_drop,
    }
    for mean in verdict.means:
        numbers |= {mean.metric: mean.after, f"{mean.metric} of the baseline": mean.before}
    tables = {
        "fell": [{"question": each.question, "asked": each.text, "by": round(each.fallen, 3)} for each in verdict.fell],
        "gone": [{"question": each.question, "why": each.why} for each in verdict.gone],
    }
    shown = {
        name: dg.MetadataValue.table([dg.TableRecord(row) for row in rows]) for name, rows in tables.items() if rows
    }
    problem = "" if verdict.passed else verdict.explained()
    return _result(RETRIEVAL_EVALUATION, verdict.passed, problem, numbers={**numbers, **shown})


def counts_match(counts: Mapping[str, int], embedded: Embedded, published: Published | None) -> dg.AssetCheckResult:
    """Fail when the index does not hold what follows from the state before and the changes.

    `counts` is one row of `published_counts`; when nothing was published, or another refresh has published since, only
    what must hold in every state is compared.
    """
    chunked, wrong = embedded.chunked, _uneven(counts)
    expected = chunked.changes.published + chunked.added + chunked.restored - chunked.changes.removed
    if published and counts["revision"] == published.revision and counts["documents"] != expected:
        wrong.append(f"{counts['documents']} documents instead of {expected}")
    repair = f"compare it with its source: rag-pipeline verify --source {chunked.changes.hashes.snapshot.source}"
    return _result(COUNTS_MATCH, not wrong, f"the index holds {'; '.join(wrong)}; {repair}", numbers=counts)


def building_counts_match(counts: Mapping[str, int]) -> dg.AssetCheckResult:
    """Fail when a source has chunks without a vector or terms in the generation that is built."""
    wrong = _uneven(counts)
    again = "give the generation up and build it again: rag-pipeline migrate drop"
    return _result(BUILDING_COUNTS_MATCH, not wrong, f"it holds {'; '.join(wrong)}; {again}", numbers=counts)


def follows(standing: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Warn when a source is not in the generation that is built as in the live one; `standing` says why, if known."""
    equal, failure = standing["equal"], standing["failure"]
    problem = f"it is behind the live generation: {failure or 'bring it up to date: rag-pipeline migrate start'}"
    return _result(FOLLOWS, equal, problem, warn=True, numbers={"equal": int(equal)})


def _uneven(counts: Mapping[str, int]) -> list[str]:
    """Say which counts of one row of `published_counts` differ that must be the same."""
    return [
        f"{counts[one]} {one} and {counts[other]} {other}"
        for one, other in (("chunks", "vectors"), ("chunks", "terms"), ("sections", "sections_announced"))
        if counts[one] != counts[other]
    ]


def _twins(file: UPath, columns: list[str]) -> int:
    """Return how many rows repeat the key of another."""
    with file.open("rb") as handle:
        keys = pq.read_table(handle, columns=columns)
    return keys.num_rows - keys.group_by(columns).aggregate([]).num_rows


def _result(
    check: Check, passed: bool, problem: str, numbers: Mapping[str, Any], warn: bool = False
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        asset_key=check.asset,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
        description=None if passed else problem,
        metadata=numbers,
    )
