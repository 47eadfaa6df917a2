"""Assets 1 to 3: what the source holds, what its documents say, what differs from the index."""

import dagster as dg

from rag_pipeline.defs import checks
from rag_pipeline.defs.stage import Stages
from rag_pipeline.defs.tables import changed_examples, column_schema
from rag_pipeline.handover import CHANGES, LISTING, MANIFEST, Changes, Hashes, Snapshot


def assets(sources: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return these assets, with one partition a source."""

    @dg.asset(
        partitions_def=sources,
        group_name="refresh",
        kinds={"parquet"},
        metadata=column_schema(LISTING),
        dagster_type=dg.PythonObjectDagsterType(Snapshot, "Snapshot"),
        check_specs=checks.specs(sources, checks.LISTING_COMPLETE),
    )
    def source_snapshot(context: dg.AssetExecutionContext, stages: dg.ResourceParam[Stages]) -> dg.MaterializeResult:
        """What the source holds now, without reading it, and whether that is all of it."""
        with stages.stage(context) as stage:
            snapshot = stage.pipeline.source_snapshot(context.partition_key)
            return dg.MaterializeResult(
                value=snapshot,
                metadata={
                    **stage.numbers(snapshot),
                    "dagster/partition_row_count": snapshot.listed,
                    "complete": snapshot.complete,
                },
                check_results=[checks.listing_complete(snapshot)],
            )

    @dg.asset(
        partitions_def=sources,
        group_name="refresh",
        kinds={"parquet"},
        metadata=column_schema(MANIFEST),
        dagster_type=dg.PythonObjectDagsterType(Hashes, "Hashes"),
        check_specs=checks.specs(sources, checks.UNIQUE_DOCUMENTS),
    )
    def content_hashes(
        context: dg.AssetExecutionContext, source_snapshot: Snapshot, stages: dg.ResourceParam[Stages]
    ) -> dg.MaterializeResult:
        """What each document says, by hash, and who may read it; only what may have changed is read."""
        with stages.stage(context) as stage:
            hashes = stage.pipeline.content_hashes(source_snapshot)
            return dg.MaterializeResult(
                value=hashes,
                metadata={**stage.numbers(hashes), "dagster/partition_row_count": source_snapshot.listed},
                check_results=[checks.unique_documents(stage.pipeline.workspace, source_snapshot.folder)],
            )

    @dg.asset(
        partitions_def=sources,
        group_name="refresh",
        kinds={"postgres", "parquet"},
        metadata=column_schema(CHANGES),
        dagster_type=dg.PythonObjectDagsterType(Changes, "Changes"),
        check_specs=checks.specs(sources, checks.GUARD_NOT_TRIPPED),
    )
    def changed_documents(
        context: dg.AssetExecutionContext, content_hashes: Hashes, stages: dg.ResourceParam[Stages]
    ) -> dg.MaterializeResult:
        """What differs from the published index, by category; what looks like an accident is withheld."""
        with stages.stage(context) as stage:
            changes = stage.pipeline.changed_documents(content_hashes)
            return dg.MaterializeResult(
                value=changes,
                metadata={
                    **stage.numbers(changes, withheld=changes.withheld, touched=changes.touched),
                    "dagster/partition_row_count": changes.touched + changes.quarantined,
                    **changed_examples(stage.pipeline.workspace, content_hashes.snapshot.folder),
                },
                check_results=[checks.guard_not_tripped(changes)],
            )

    return [source_snapshot, content_hashes, changed_documents]
