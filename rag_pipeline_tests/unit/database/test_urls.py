from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from rag_pipeline.database.connection import embedded_server, local_folder, server_url
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Settings


def _settings(url: str, root: str = ".rag", folder: Path = Path("/w")) -> Settings:
    return Settings.model_validate({"folder": folder, "workspace": {"root": root}, "database": {"url": url}})


@pytest.mark.parametrize(
    ("given", "index", "dagster"),
    [
        ("postgresql://u:p%2Fw@h:5433/kb", "postgresql://u:p%2Fw@h:5433/kb", "postgresql://u:p%2Fw@h:5433/dagster"),
        ("postgres://h", "postgresql://h/rag", "postgresql://h/dagster"),
        ("postgresql://h/", "postgresql://h/rag", "postgresql://h/dagster"),
        ("postgresql:///?host=%2Frun%2Fpg", "postgresql:///rag?host=%2Frun%2Fpg", "postgresql:///dagster?host=%2Frun%2Fpg"),
        ("postgresql://h?dbname=kb&sslmode=require", "postgresql://h/kb?sslmode=require", "postgresql://h/dagster?sslmode=require"),
        ("postgresql://a:1,b:2/my%20kb", "postgresql://a:1,b:2/my%20kb", "postgresql://a:1,b:2/dagster"),
    ],
)  # fmt: skip
def test_a_url_of_the_users_means_the_index(given: str, index: str, dagster: str) -> None:
    assert server_url(_settings(given)) == index
    assert server_url(_settings(given), "dagster") == dagster
    assert conninfo_to_dict(index)
    assert embedded_server(_settings(given)) is None


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:sesame@h/d",
        "host=h password=sesame",
        "embeded",
        "postgresql://u:a/sesame@h/d",
        "postgresql://u:1/sesame@h/d",
        "postgresql://h:sesame/d",
        "",
    ],
)
def test_a_malformed_url_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encoded") as raised:
        server_url(_settings(url))
    assert "sesame" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_index_may_not_take_dagsters_database() -> None:
    with pytest.raises(ConfigurationError, match="Dagster's own"):
        server_url(_settings("postgresql://h/dagster"))


def test_local_state_lies_in_the_workspace_or_for_a_remote_one_in_the_users_folder() -> None:
    assert local_folder(_settings("embedded")) == Path("/w/.rag")
    assert local_folder(_settings("embedded", root="/elsewhere")) == Path("/elsewhere")
    one, other = (local_folder(_settings("embedded", "s3://bucket/x", Path(folder))) for folder in ("/w", "/v"))
    assert one.parent == other.parent == Path.home() / ".local" / "share" / "rag-pipeline"
    assert one != other
