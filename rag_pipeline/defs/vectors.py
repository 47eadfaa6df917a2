"""Assets 4 and 5: the changed documents cut into chunks, and a vector for every text that has none."""

import dagster as dg

from rag_pipeline.defs import checks
from rag_pipeline.defs.stage import Stages
from rag_pipeline.defs.tables import chunk_examples, column_schema
from rag_pipeline.handover import CHUNKS, Changes, Chunked, Embedded


@dg.asset(
    group_name="vectors",
    kinds={"parquet"},
    metadata=column_schema(CHUNKS),
    dagster_type=dg.PythonObjectDagsterType(Chunked, "Chunked"),
    check_specs=[checks.UNIQUE_CHUNKS, checks.WITHIN_BOUNDS],
)
def chunks(
    context: dg.AssetExecutionContext, changed_documents: Changes, stages: dg.ResourceParam[Stages]
) -> dg.MaterializeResult:
    """The sections and chunks of the documents whose content is new; what cannot be read is quarantined."""
    with stages.stage(context) as stage:
        chunked = stage.pipeline.chunks(changed_documents)
        workspace, folder = stage.pipeline.workspace, changed_documents.hashes.snapshot.folder
        return dg.MaterializeResult(
            value=chunked,
            metadata={
                **stage.numbers(chunked, quarantined=chunked.quarantined),
                "dagster/partition_row_count": chunked.chunks,
                **chunk_examples(workspace, folder),
            },
            check_results=[
                checks.unique_chunks(workspace, folder),
                checks.within_bounds(workspace, chunked, stage.pipeline.settings.chunking.max_tokens),
            ],
        )


@dg.asset(
    group_name="vectors",
    kinds={"postgres"},
    metadata={"dagster/table_name": "rag.embedding_store"},
    dagster_type=dg.PythonObjectDagsterType(Embedded, "Embedded"),
    check_specs=[checks.DIMENSIONS],
)
def embeddings(
    context: dg.AssetExecutionContext, chunks: Chunked, stages: dg.ResourceParam[Stages]
) -> dg.MaterializeResult:
    """A vector for every chunk's text; only texts that the store does not have are embedded."""
    with stages.stage(context) as stage:
        embedded = stage.pipeline.embeddings(chunks)
        with stage.pipeline.connected() as connection:
            fitting = checks.dimensions(connection, stage.pipeline.workspace, embedded)
        return dg.MaterializeResult(
            value=embedded,
            metadata={
                **stage.numbers(embedded),
                "dagster/partition_row_count": embedded.embedded,
                "model": embedded.model,
            },
            check_results=[fitting],
        )
