"""The code location: assets, checks, jobs and schedules for the sources of one `rag.toml`.

Loading it reads the settings and nothing else: no database, no model, no source. Without a `rag.toml`,
or with a wrong one, it fails with the sentence of the `ConfigurationError`.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from rag_pipeline.chunks import CHUNKER_VERSION
from rag_pipeline.defs.automation import housekeeping, housekeeping_daily, refresh, refresh_hourly
from rag_pipeline.defs.corpus import changed_documents, content_hashes, source_snapshot
from rag_pipeline.defs.handover import HandoverIOManager
from rag_pipeline.defs.index import publish
from rag_pipeline.defs.stage import Stages
from rag_pipeline.defs.vectors import chunks, embeddings
from rag_pipeline.documents import PARSER_VERSION
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

FOLDER_VARIABLE = "RAG_FOLDER"
"""Environment variable that names the folder of `rag.toml`; without it the search starts in the current one."""


def build(settings: Settings, stages: Stages | None = None) -> dg.Definitions:
    """Return the definitions for these settings; `stages` replaces the resource that runs the stages."""
    stages = stages or Stages(Pipeline(settings))
    assets = [source_snapshot, content_hashes, changed_documents, chunks, embeddings, publish]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: _configured(spec, settings), assets),
        jobs=[refresh, housekeeping],
        schedules=[refresh_hourly([source.name for source in settings.sources]), housekeeping_daily],
        resources={"stages": stages, "io_manager": HandoverIOManager(stages.pipeline.workspace)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return what Dagster loads: the definitions for the `rag.toml` in force."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return build(Settings.load(Path(folder) if folder else None))


def _configured(spec: dg.AssetSpec, settings: Settings) -> dg.AssetSpec:
    """Add to an asset what the settings decide: its partitions, its version, when it is stale."""
    name = spec.key.to_user_string()
    changes: dict[str, Any] = {
        "partitions_def": dg.StaticPartitionsDefinition([source.name for source in settings.sources])
    }
    if version := _code_versions(settings).get(name):
        changes["code_version"] = version
    if name == "published_index" and settings.sources:
        stale = timedelta(minutes=min(source.stale_after_minutes for source in settings.sources))
        changes["freshness_policy"] = dg.FreshnessPolicy.time_window(fail_window=stale, warn_window=stale * 2 / 3)
    return spec.replace_attributes(**changes)


def _code_versions(settings: Settings) -> Mapping[str, str]:
    """Return the part of the recipe that each asset computes with."""
    chunking = settings.chunking
    return {
        "chunks": f"parser {PARSER_VERSION}, chunker {CHUNKER_VERSION}, {chunking.max_tokens}/{chunking.window_tokens}",
        "embeddings": f"{settings.embedding.provider} {settings.embedding.model}",
    }
