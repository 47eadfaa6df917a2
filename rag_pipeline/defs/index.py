"""Assets 6 and 7, two outputs of one step because they are one transaction: what was written, what was pruned."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from psycopg.rows import dict_row

from rag_pipeline.database.statements import statements
from rag_pipeline.defs import checks
from rag_pipeline.defs.stage import Stage, Stages
from rag_pipeline.evaluation.gate import GateClosed
from rag_pipeline.handover import Embedded, Published
from rag_pipeline.settings import Settings


def assets(sources: dg.PartitionsDefinition, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return these assets, with one partition a source."""
    stale = timedelta(minutes=min((source.stale_after_minutes for source in settings.sources), default=180))

    gates = (checks.RETRIEVAL_EVALUATION,) if settings.evaluation.gated else ()

    @dg.multi_asset(
        name="publish",
        partitions_def=sources,
        group_name="refresh",
        outs={
            "published_index": dg.AssetOut(
                dagster_type=Published,
                description="The index, equal to its source again: merged, pruned, checked and committed at once.",
                kinds={"postgres"},
                metadata={"dagster/table_name": "rag.chunks"},
                freshness_policy=dg.FreshnessPolicy.time_window(fail_window=stale, warn_window=stale * 2 / 3),
            ),
            "pruned_orphans": dg.AssetOut(
                dagster_type=dg.Nothing,
                description="What the source has lost, deleted in the transaction that published the rest.",
                kinds={"postgres"},
            ),
        },
        check_specs=checks.specs(sources, checks.NO_ORPHANS, checks.COUNTS_MATCH, *gates),
    )
    def publish(
        context: dg.AssetExecutionContext, embeddings: Embedded, stages: dg.ResourceParam[Stages]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        """Publish one source in one transaction."""
        snapshot = embeddings.chunked.changes.hashes.snapshot
        with stages.stage(context) as stage:
            so_far = (datetime.now(UTC) - snapshot.started_at).total_seconds()
            try:
                published = stage.pipeline.published_index(embeddings, so_far)
            except GateClosed as closed:
                # The asset stays as it was; why, is kept where people look for it.
                yield checks.retrieval_evaluation(closed.verdict)
                # The other checks are of what stayed; without a result they would show as failed.
                _, results = _checked(stage, embeddings, None)
                yield from results
                raise
            stage.pipeline.vector_index()
            counts, results = _checked(stage, embeddings, published)
            results += [checks.retrieval_evaluation(stage.pipeline.verdict) for _ in gates]
            with stage.pipeline.connected() as connection, connection.cursor(row_factory=dict_row) as cursor:
                columns = cursor.execute(statements("checks")["chunk_columns"]).fetchall()
            numbers = stage.numbers(published, refresh_seconds=round(published.seconds, 3))
        yield dg.MaterializeResult(
            asset_key="published_index",
            value=published,
            metadata={
                **numbers,
                "documents": counts["documents"],
                "chunks": counts["chunks"],
                "dagster/partition_row_count": counts["chunks"],
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(row["column_name"], row["column_type"]) for row in columns]
                ),
            },
            check_results=results,
        )
        yield dg.MaterializeResult(
            asset_key="pruned_orphans",
            metadata={
                "removed": published.removed,
                "documents_deleted": published.documents_deleted,
                "chunks_deleted": published.chunks_deleted,
            },
        )

    return [publish]


def _checked(
    stage: Stage, embedded: Embedded, published: Published | None
) -> tuple[dict[str, Any], list[dg.AssetCheckResult]]:
    """Return what a source has in the index now, and whether that is right; `published` is None where nothing was."""
    changes = embedded.chunked.changes
    values = {"source": changes.hashes.snapshot.source, "generation": changes.generation}
    with stage.pipeline.connected() as connection, connection.cursor(row_factory=dict_row) as cursor:
        counts = cursor.execute(statements("checks")["published_counts"], values).fetchone() or {}
        return counts, [checks.no_orphans(connection), checks.counts_match(counts, embedded, published)]
