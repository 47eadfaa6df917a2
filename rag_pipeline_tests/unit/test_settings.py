from pathlib import Path

import pytest
from pydantic import ValidationError

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import FilesSettings, Settings

SOURCE = '[[sources]]\nname = "handbook"\ntype = "files"\npath = "docs"\n'


def load(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "rag.toml").write_text(text)
    return Settings.load(folder, environ)


def problem(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, **environ)
    return str(caught.value).replace(str(folder / "rag.toml"), "rag.toml")


def test_an_empty_file_is_a_working_configuration(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert settings.database.url == "embedded"
    assert settings.embedding.model == "BAAI/bge-small-en-v1.5"
    assert settings.folder == tmp_path


def test_it_is_found_from_any_folder_below(tmp_path: Path) -> None:
    load(tmp_path, SOURCE)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    source = Settings.load(below, {}).source("handbook")
    assert isinstance(source, FilesSettings)
    assert source.path == Path("docs")
    assert source.default_access.allow == ()


def test_none_at_all_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="rag-pipeline init"):
        Settings.load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[databse]\nurl = 'x'", "rag.toml: databse: unknown key"),
        ("[database]\nurll = 'x'", "rag.toml: database.urll: unknown key"),
        (SOURCE + "pth = 'x'", "rag.toml: sources[handbook].pth: unknown key"),
        (SOURCE + SOURCE, "rag.toml: the file: two sources are named 'handbook'"),
        (SOURCE.replace('path = "docs"\n', ""), "rag.toml: sources[handbook].path: missing; add it"),
        (SOURCE.replace('"files"', '"ftp"'), "rag.toml: sources[handbook]: 'ftp' is no type of source"),
        (
            SOURCE.replace('type = "files"\n', ""),
            "rag.toml: sources[handbook]: a source needs a type, such as 'files' or 'git'",
        ),
        (SOURCE.replace("handbook", "Hand Book"), "rag.toml: sources[Hand Book].name: "),
        (SOURCE + 'access = ["bob"]', "rag.toml: sources[handbook].access: 'bob' is not a principal"),
        (SOURCE + "guards = { max_deletions = 3 }", "rag.toml: sources[handbook].guards.max_deletions: "),
        ("[chunking]\nmax_tokens = 'many'", "rag.toml: chunking.max_tokens: "),
        ("[database\n", "rag.toml: "),
        ("[embeding]\nmodel = 'x'", "rag.toml: embeding: unknown key; did you mean 'embedding'?"),
        ("[embedding]\nmodle = 'x'", "rag.toml: embedding.modle: unknown key; did you mean 'model'?"),
        (SOURCE + "acces = []", "rag.toml: sources[handbook].acces: unknown key; did you mean 'access'?"),
        (
            SOURCE + "guards.max_deletion = 1",
            "rag.toml: sources[handbook].guards.max_deletion: unknown key; did you mean",
        ),
        ("[embedding]\nkey = 'x'", "rag.toml: embedding.key: unknown key; remove it or correct its spelling"),
        ("embedding = 'x'", "rag.toml: embedding: must be a table: write [embedding] above its keys"),
        (SOURCE + "guards = 1", "rag.toml: sources[handbook].guards: must be a table: such as { key = value }"),
        (SOURCE + 'access = "public"', "rag.toml: sources[handbook].access: must be a list, such as"),
        (SOURCE.replace("[[sources]]", "[sources]"), "rag.toml: sources: write [[sources]] above each source"),
    ],
)
def test_wrong_input_names_file_setting_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    assert problem(tmp_path, text).startswith(message)


@pytest.mark.parametrize("secret", ["me:hunter2@host/v1", "host/v1?key=hunter2", "hunter2@host/v1", "host/v1#hunter2"])
def test_a_secret_in_the_address_of_a_service_is_refused_and_not_repeated(tmp_path: Path, secret: str) -> None:
    said = problem(tmp_path, f'[embedding]\nbase_url = "https://{secret}"\n')
    assert said.startswith("rag.toml: embedding.base_url: an address has no user")
    assert "OPENAI_API_KEY" in said
    assert "hunter2" not in said
    address = "http://[::1]:8000/v1"
    assert load(tmp_path, f'[embedding]\nbase_url = "{address}"\n').embedding.base_url == address


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(problem(tmp_path, "[databse]\nurl = 1\n[workspce]\nroot = 1\n").splitlines()) == 2


def test_the_environment_overrides_any_key(tmp_path: Path) -> None:
    settings = load(tmp_path, SOURCE, RAG_DATABASE__URL="postgresql://db/rag", RAG_CHUNKING__MAX_TOKENS="64")
    assert settings.database.url == "postgresql://db/rag"
    assert settings.chunking.max_tokens == 64


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    assert "database.urll: unknown key" in problem(tmp_path, "", RAG_DATABASE__URLL="x")
    assert "RAG_SOURCES__NAME" in problem(tmp_path, SOURCE, RAG_SOURCES__NAME="x")
    said = problem(tmp_path, "[database]\nport = 1\n", RAG_DATABASE__URLL="x", RAG_CHUNKIN__MAX_TOKENS="9")
    assert [line.split(": ")[0] for line in sorted(said.splitlines())] == [
        "RAG_CHUNKIN__MAX_TOKENS",
        "RAG_DATABASE__URLL",
    ]
    assert problem(tmp_path, "[database]\nport = 0\n", RAG_DATABASE__URL="x").startswith("rag.toml: database.port: ")


def test_a_file_in_another_encoding_says_which_it_must_be(tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"save it as UTF-8"):
        Settings.load(tmp_path, {})


def test_an_unknown_source_lists_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no source is named 'wiki' .* configured: handbook"):
        load(tmp_path, SOURCE).source("wiki")


def test_what_is_too_weak_to_answer_from_depends_on_the_embedding_model() -> None:
    """The default was measured with one model; with another, nothing is withheld unless somebody says so."""
    usual = Settings.model_validate({})
    assert usual.answers.min_evidence == 0.76
    other = {"provider": "openai", "model": "text-embedding-3-small"}
    assert Settings.model_validate({"embedding": other, "answers": {"model": "writer"}}).answers.min_evidence == 0
    assert Settings.model_validate({"embedding": other, "answers": {"min_evidence": 0.5}}).answers.min_evidence == 0.5
    with pytest.raises(ValidationError, match="give both usd_per_million_input and usd_per_million_output"):
        Settings.model_validate({"answers": {"usd_per_million_input": 1}})
