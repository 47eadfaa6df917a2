"""Assets beside the flow: the generation that is built, and each source in it, which follows `published_index`.

The job `migrate` builds. The job `refresh` only lets a source follow that has been built: it spends nothing on a
generation that nobody started, and what keeps a source from following is a warning there, because what readers see
is refreshed all the same.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from psycopg.rows import dict_row

from rag_pipeline.building import follow
from rag_pipeline.database.statements import statements
from rag_pipeline.defs import checks
from rag_pipeline.defs.stage import Stage, Stages
from rag_pipeline.handover import Published
from rag_pipeline.index.generations import Generation, generations, in_state
from rag_pipeline.migration import Migration

REFRESH = "refresh"
"""The job that follows, and builds nothing."""
_COUNTED = ("documents_written", "chunks_written", "chunks_deleted", "texts_embedded", "tokens", "cost_usd")
"""Zeros where there was nothing to do, so that the plots go on."""


def assets(sources: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return these assets; the second has one partition a source."""

    @dg.asset(
        group_name="migration",
        kinds={"postgres"},
        metadata={"dagster/table_name": "rag.generations"},
        output_required=False,
    )
    def building_generation(
        context: dg.AssetExecutionContext, stages: dg.ResourceParam[Stages]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        """Tables for what software and settings want now, where the live generation is made in another way."""
        with stages.stage(context) as stage:
            migration = Migration(stage.pipeline.settings, pipeline=stage.pipeline)
            if not migration.needed():
                # No failure, so that all assets can be materialised at once.
                context.log.info("the index is made as software and settings want it; nothing is begun")
                return
            migration.begin()
            status = migration.status()
            differences = [
                dg.TableRecord({"part": each.part, "live": str(each.live), "wanted": str(each.wanted)})
                for each in status.differences
            ]
            seconds = stage.seconds
        yield dg.MaterializeResult(
            metadata={
                "generation": status.generation,
                "live": status.live,
                "model": status.model,
                "cost_usd": status.cost_usd,
                "differences": dg.MetadataValue.table(differences),
                "seconds": seconds,
            }
        )

    # Its output and checks may stay away, as they do while nothing is built.
    @dg.multi_asset(
        name="follow",
        partitions_def=sources,
        group_name="migration",
        can_subset=True,
        deps=["building_generation", "published_index"],
        outs={
            "building_index": dg.AssetOut(
                dagster_type=dg.Nothing,
                is_required=False,
                description="One source in the generation that is built: what the live one holds of it, made anew.",
                kinds={"postgres"},
                metadata={"dagster/table_name": "rag.generation_sources"},
            )
        },
        check_specs=checks.specs(sources, *checks.OF_BUILDING),
    )
    def building(
        context: dg.AssetExecutionContext, stages: dg.ResourceParam[Stages]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        """Bring one source in the generation that is built to where the live one stands."""
        source, result = context.partition_key, None
        with stages.stage(context) as stage:
            with stage.pipeline.connected() as connection:
                target = in_state(generations(connection), "building")
            if target:
                if context.job_name == REFRESH:
                    published = stage.pipeline.follow(source)
                else:
                    published = follow(stage.pipeline, source, build=True)
                result = _standing(stage, target, source, published)
        if result is None:
            context.log.info("no generation is being built that holds this source")
        else:
            yield result

    return [building_generation, building]


def _standing(
    stage: Stage, target: Generation, source: str, published: Published | None
) -> dg.MaterializeResult[Any] | None:
    """Return how a source stands in the generation that is built; None where it is not in there yet."""
    queries = statements("checks")
    values = {"source": source, "generation": target.number}
    with stage.pipeline.working(target.number) as (connection, _), connection.cursor(row_factory=dict_row) as cursor:
        standing = cursor.execute(queries["following"], values).fetchone()
        if standing is None or not standing["built"]:
            return None
        counts = cursor.execute(queries["published_counts"], values).fetchone() or {}
        results = [
            checks.no_orphans(connection, checks.BUILDING_NO_ORPHANS),
            checks.building_counts_match(counts),
            checks.follows(standing),
        ]
    return dg.MaterializeResult(
        asset_key="building_index",
        metadata={
            **(stage.numbers(published) if published else dict.fromkeys(_COUNTED, 0)),
            "generation": target.number,
            "model": target.recipe.model,
            "documents": counts["documents"],
            "chunks": counts["chunks"],
            "dagster/partition_row_count": counts["chunks"],
            "seconds": stage.seconds,
        },
        check_results=results,
    )
