import pytest

from rag_pipeline.database.requirements import check_text, check_versions
from rag_pipeline.errors import ConfigurationError


@pytest.mark.parametrize("version", ["0.8.4", "0.8.5", "0.8.10", "0.10.0", "1.0"])
def test_a_sound_server_passes_in_silence(version: str) -> None:
    assert check_versions(150000, version, version) == []
    assert check_versions(180004, None, version) == []


@pytest.mark.parametrize("version", ["0.8.0", "0.8.1", "0.8.3"])
def test_a_pgvector_with_known_damage_is_warned_of(version: str) -> None:
    (warning,) = check_versions(170002, version, "0.8.5")
    assert version in warning
    assert "alter extension vector update" in warning


@pytest.mark.parametrize("version", ["0.7.4", "0.5.1", "0.7"])
def test_an_old_pgvector_is_refused_even_when_a_later_one_could_be_installed(version: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"pgvector is {version};.*alter extension vector update"):
        check_versions(170002, version, "0.8.5")


def test_a_server_without_pgvector_is_refused_with_the_package_to_install() -> None:
    with pytest.raises(ConfigurationError, match="postgresql-16-pgvector"):
        check_versions(160009, None, None)


def test_an_old_server_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Postgres 14; rag-pipeline needs 15"):
        check_versions(140011, "0.8.5", "0.8.5")


def test_the_text_of_the_database_is_checked() -> None:
    assert check_text("UTF8", "en_US.UTF-8") == []
    assert "LC_CTYPE C" in check_text("UTF8", "C")[0]
    with pytest.raises(ConfigurationError, match="SQL_ASCII"):
        check_text("SQL_ASCII", "C")
