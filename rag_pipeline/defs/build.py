"""The definitions for one `rag.toml`: assets, checks, jobs and schedules, put together.

Nothing is contacted here: no database, no model, no source.
"""

import dagster as dg

from rag_pipeline.defs import corpus, index, migration, vectors
from rag_pipeline.defs.automation import housekeeping, housekeeping_daily, migrate, refresh, refresh_hourly
from rag_pipeline.defs.handover import HandoverIOManager
from rag_pipeline.defs.stage import Stages
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

FOLDER_VARIABLE = "RAG_FOLDER"
"""Environment variable that names the folder of `rag.toml`; without it the search starts in the current one."""


def build(settings: Settings, stages: Stages | None = None) -> dg.Definitions:
    """Return the definitions for these settings; `stages` replaces the resource that runs the stages."""
    stages = stages or Stages(Pipeline(settings))
    names = [source.name for source in settings.sources]
    sources = dg.StaticPartitionsDefinition(names)
    return dg.Definitions(
        assets=[
            *corpus.assets(sources),
            *vectors.assets(sources, settings),
            *index.assets(sources, settings),
            *migration.assets(sources),
        ],
        jobs=[refresh, migrate, housekeeping],
        schedules=[refresh_hourly(names), housekeeping_daily],
        resources={"stages": stages, "io_manager": HandoverIOManager(stages.pipeline.workspace)},
        executor=dg.in_process_executor,
    )
