"""What Dagster loads: the graph, its checks, jobs and schedules; no database and no model is touched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from rag_pipeline.definitions import FOLDER_VARIABLE, build, defs
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Settings

GRAPH = """
building_generation <-  []
building_index <- building_generation, published_index [counts_match, follows, no_orphans]
changed_documents <- content_hashes [guard_not_tripped]
chunks <- changed_documents [unique_keys!, within_bounds!]
content_hashes <- source_snapshot [unique_keys!]
embeddings <- chunks [dimensions!]
pruned_orphans <- embeddings []
published_index <- embeddings [counts_match, no_orphans]
source_snapshot <-  [listing_complete]
"""
"""Asset <- what it is computed from [its checks; those with ! block]."""


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    source = {"type": "files", "path": "docs"}
    return Settings.model_validate(
        {
            "folder": tmp_path,
            "sources": [source | {"name": "handbook"}, source | {"name": "policies", "stale_after_minutes": 90}],
        }
    )


def test_the_graph_is_the_flow_of_the_design(configured: Settings) -> None:
    graph = build(configured).resolve_asset_graph()
    lines = []
    for node in sorted(graph.asset_nodes, key=lambda node: node.key):
        checks = sorted(
            key.name + ("!" if graph.get(key).blocking else "") for key in graph.get_check_keys_for_assets({node.key})
        )
        parents = ", ".join(sorted(key.to_user_string() for key in node.parent_keys))
        lines.append(f"{node.key.to_user_string()} <- {parents} [{', '.join(checks)}]")
    assert "\n".join(lines) == GRAPH.strip()


def test_every_asset_and_check_has_one_partition_a_source(configured: Settings) -> None:
    """Save that a generation is begun for all of them at once."""
    graph = build(configured).resolve_asset_graph()
    for node in [*graph.asset_nodes, *map(graph.get, graph.asset_check_keys)]:
        if node.key == dg.AssetKey("building_generation"):
            assert node.partitions_def is None
            continue
        assert node.partitions_def is not None
        assert list(node.partitions_def.get_partition_keys()) == ["handbook", "policies"]


def test_the_definitions_are_complete(configured: Settings) -> None:
    definitions = build(configured)
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    assert {"refresh", "migrate", "housekeeping"} <= {job.name for job in repository.get_all_jobs()}
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert {name: (schedule.cron_schedule, schedule.default_status.value) for name, schedule in schedules.items()} == {
        "refresh_hourly": ("0 * * * *", "RUNNING"),
        "housekeeping_daily": ("17 3 * * *", "RUNNING"),
    }


def test_each_hour_every_source_gets_a_run_of_its_own(configured: Settings) -> None:
    definitions = build(configured)
    schedule = definitions.resolve_schedule_def("refresh_hourly")
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 1, 1, 12, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
        )
        requests = schedule.evaluate_tick(context).run_requests or []
    assert [(request.partition_key, request.tags["rag/source"]) for request in requests] == [
        ("handbook", "handbook"),
        ("policies", "policies"),
    ]
    assert len({request.run_key for request in requests}) == 2


def test_the_strictest_source_says_when_the_index_is_stale(configured: Settings) -> None:
    policy = build(configured).resolve_asset_graph().get(dg.AssetKey("published_index")).freshness_policy
    assert policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(minutes=90), warn_window=timedelta(minutes=60)
    )


def test_the_code_version_follows_the_recipe(configured: Settings) -> None:
    def version(settings: Settings) -> str | None:
        return build(settings).resolve_asset_graph().get(dg.AssetKey("chunks")).code_version

    other = Settings.model_validate({"folder": configured.folder, "chunking": {"max_tokens": 100}})
    assert version(configured)
    assert version(other) != version(configured)


def test_a_workspace_without_sources_loads(tmp_path: Path) -> None:
    dg.Definitions.validate_loadable(build(Settings.model_validate({"folder": tmp_path})))


def test_a_missing_or_wrong_rag_toml_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"^no rag\.toml in .* rag-pipeline init$"):
        defs()
    (tmp_path / "rag.toml").write_text("[workspace]\nrooot = 'x'\n")
    with pytest.raises(ConfigurationError, match=r"^\S+rag\.toml: workspace\.rooot: unknown key[^\n]*$"):
        defs()
