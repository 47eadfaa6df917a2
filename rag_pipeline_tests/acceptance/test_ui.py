"""The Dagster UI in a real browser: a source is materialised by hand, and what came of it is looked at.

Pictures of every screen are kept in the folder that RAG_SCREENSHOTS names, if it is set.
"""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.defs.instance import dev_command
from rag_pipeline.settings import Settings
from rag_pipeline_tests.browser import browsing, needs_browser
from rag_pipeline_tests.running import free_port, running, wait_for, workspace_of_two

pytestmark = needs_browser

REFRESH = "/locations/rag_pipeline.definitions/asset-groups/refresh/lineage"
ASSETS = [
    "source_snapshot",
    "content_hashes",
    "changed_documents",
    "chunks",
    "embeddings",
    "published_index",
    "pruned_orphans",
]
PAGE = "# Keys\n\nA key is rotated each month.\n\n## Loss\n\nTell the help desk at once.\n"


@pytest.fixture
def workspace(tmp_path: Path, home: Path) -> Settings:
    """A workspace of two sources, with a server of its own."""
    server = EmbeddedServer(home)
    server.ensure()
    return workspace_of_two(tmp_path, server.url("rag"), PAGE, PAGE)


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run `dagster dev` for a workspace and give the address of its UI."""
    port = free_port()
    command, environment = dev_command(settings, "127.0.0.1", port)
    address = f"http://127.0.0.1:{port}"
    log = settings.folder / "dagster.log"
    with running(command, settings.folder, environment, f"{address}/server_info", log, 240):
        yield address


def ask(address: str, query: str) -> Any:
    """Return the answer of GraphQL."""
    request = urllib.request.Request(
        f"{address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=240) as answer:
        return json.load(answer)["data"]


def test_a_source_is_materialised_from_the_ui(workspace: Settings, tmp_path: Path) -> None:
    # A module of this name in an indexed folder must not be taken for the library that the server imports.
    (tmp_path / "gql.py").write_text("raise RuntimeError('code of an indexed folder was run')\n")
    with serving(workspace) as address, browsing(address, tmp_path) as browser:
        wait_for(
            lambda: (
                "LOADED" in json.dumps(ask(address, "{workspaceOrError{...on Workspace{locationEntries{loadStatus}}}}"))
            ),
            240,
        )
        browser.open(REFRESH)
        for asset in ASSETS:
            browser.see(asset)
        browser.press("Materialize all")
        browser.see("Select a partition").click()
        browser.see("salaries")
        browser.see("handbook", "span").click()
        browser.press("Launch 1 run")

        runs = "{runsOrError{...on Runs{results{status tags{key value}}}}}"
        wait_for(lambda: ask(address, runs)["runsOrError"]["results"], 240)
        wait_for(lambda: ask(address, runs)["runsOrError"]["results"][0]["status"] in ("SUCCESS", "FAILURE"), 240)
        (run,) = ask(address, runs)["runsOrError"]["results"]
        assert run["status"] == "SUCCESS"
        assert {"key": "dagster/partition", "value": "handbook"} in run["tags"]

        browser.open(REFRESH)
        browser.see("published_index")
        browser.picture("lineage")
        browser.open("/locations/rag_pipeline.definitions/jobs/migrate")
        browser.see("Builds one source in the next generation of the index")
        browser.see("building_generation")
        browser.picture("migrate")

        browser.open("/assets/published_index?view=overview")
        browser.see("Fails if more than 3 hours since last materialization")
        browser.press("Plots")
        browser.press("Events")
        browser.see("documents_written")
        browser.driver.execute_script("arguments[0].scrollIntoView()", browser.see("Plots", "button"))
        browser.picture("plots")

        browser.open("/assets/published_index?view=checks")
        for check in ("no_orphans", "counts_match"):
            browser.see(check)
        browser.see("Passed")
        browser.picture("checks")

        browser.open("/assets/chunks?view=partitions&partition=handbook")
        for text in ("handbook", "salaries", "Materialized (1)", "Missing (1)", "Tell the help desk at once."):
            browser.see(text)
        browser.picture("partitions")

        browser.open("/automation")
        browser.see("refresh_hourly")
        browser.picture("schedules")
