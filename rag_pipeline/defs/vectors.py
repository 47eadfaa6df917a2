"""Assets 4 and 5: the changed documents cut into chunks, and a vector for every text that has none."""

import dagster as dg

from rag_pipeline.chunks import CHUNKER_VERSION
from rag_pipeline.defs import checks
from rag_pipeline.defs.stage import Stages
from rag_pipeline.defs.tables import chunk_examples, column_schema
from rag_pipeline.documents import PARSER_VERSION
from rag_pipeline.handover import CHUNKS, Changes, Chunked, Embedded
from rag_pipeline.settings import Settings


def assets(sources: dg.PartitionsDefinition, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return these assets, with one partition a source."""
    chunking, embedding = settings.chunking, settings.embedding

    @dg.asset(
        partitions_def=sources,
        group_name="refresh",
        code_version=f"parser {PARSER_VERSION}, chunker {CHUNKER_VERSION}, "
        f"{chunking.max_tokens} of {chunking.window_tokens} tokens",
        kinds={"parquet"},
        metadata=column_schema(CHUNKS),
        dagster_type=dg.PythonObjectDagsterType(Chunked, "Chunked"),
        check_specs=checks.specs(sources, checks.UNIQUE_CHUNKS, checks.WITHIN_BOUNDS),
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
                    checks.within_bounds(workspace, chunked, chunking.max_tokens),
                ],
            )

    @dg.asset(
        partitions_def=sources,
        group_name="refresh",
        code_version=f"{embedding.provider} {embedding.model}",
        kinds={"postgres"},
        metadata={"dagster/table_name": "rag.embedding_store"},
        dagster_type=dg.PythonObjectDagsterType(Embedded, "Embedded"),
        check_specs=checks.specs(sources, checks.DIMENSIONS),
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
                    **stage.numbers(
                        embedded,
                        hit_rate=round(embedded.hit_rate, 4),
                        quarantined=embedded.chunked.quarantined,
                    ),
                    "dagster/partition_row_count": embedded.embedded,
                    "model": embedded.model,
                },
                check_results=[fitting],
            )

    return [chunks, embeddings]
