"""How the small values of `rag_pipeline.handover` get from one asset to the next: one JSON file each.

They lie at ``<workspace root>/handover/<asset>/<source>/<time>-<run>.json``. A run reads what it wrote
itself, so two refreshes of one source never mix; a run that starts in the middle of the graph reads the
newest file there is.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import TypeAdapter
from upath import UPath

from rag_pipeline.workspace import Workspace

_KEPT = 20


class HandoverIOManager(dg.IOManager):
    """Writes an asset's handover value and reads it for the assets below."""

    def __init__(self, workspace: Workspace) -> None:
        self._root = workspace.root / "handover"

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write the value; forget all but the newest few of the same asset and source."""
        folder = self._folder(context.asset_key, context.partition_key)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        (folder / f"{stamp}-{context.run_id}.json").write_bytes(TypeAdapter(type(obj)).dump_json(obj))
        for old in sorted(folder.glob("*.json"))[:-_KEPT]:
            old.unlink(missing_ok=True)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the value that this run wrote, or else the newest one, as the type that the asset declares."""
        folder = self._folder(context.asset_key, context.partition_key)
        files = sorted(folder.glob("*.json"))
        if not files:
            name = context.asset_key.to_user_string()
            raise dg.Failure(
                f"{name} of source {context.partition_key} was never computed; materialise it first, "
                "or run the job 'refresh'",
                allow_retries=False,
            )
        own = [file for file in files if file.name.endswith(f"-{_run_id(context)}.json")]
        return TypeAdapter(context.dagster_type.typing_type).validate_json((own or files)[-1].read_bytes())

    def _folder(self, asset: dg.AssetKey, source: str) -> UPath:
        return self._root / asset.path[-1] / source


def _run_id(context: dg.InputContext) -> str:
    return context.step_context.run_id
