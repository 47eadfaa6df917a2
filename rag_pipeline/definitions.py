"""The code location: what Dagster loads for the sources of one `rag.toml`.

Without a `rag.toml`, or with a wrong one, loading fails with the sentence of the `ConfigurationError`.
"""

import os
from pathlib import Path

import dagster as dg

from rag_pipeline.defs.build import FOLDER_VARIABLE, build
from rag_pipeline.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """Return what Dagster loads: the definitions for the `rag.toml` in force."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return build(Settings.load(Path(folder) if folder else None))
