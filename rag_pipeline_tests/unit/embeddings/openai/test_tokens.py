"""Tokens are counted as the encoding's own library counts them, which reads the same table from where it caches it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
from hypothesis import example, given
from hypothesis import strategies as st

from rag_pipeline.embeddings.openai import tokens
from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.errors import ConfigurationError

CACHED_AS = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
TABLE = Path(tokens.__file__).with_name("cl100k_base.tiktoken")


@pytest.fixture(scope="module", autouse=True)
def read_before_time_is_taken() -> None:
    count_tokens([""])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tiktoken.Encoding]:
    folder = tmp_path_factory.mktemp("tiktoken")
    shutil.copy(TABLE, folder / CACHED_AS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        yield tiktoken.get_encoding("cl100k_base")


@given(text=st.text(max_size=300))
@example("tiktoken is great!")
@example("<|endoftext|> and <|im_start|>")
@example("it's   12345 tokens\r\n\n\t in 日本語 और हिन्दी 🦜")
def test_a_text_has_as_many_tokens_as_the_library_says(library: tiktoken.Encoding, text: str) -> None:
    assert count_tokens([text]) == [len(library.encode(text, disallowed_special=()))]


@given(st.text(max_size=200))
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    assert count_tokens([text])[0] <= len(text.encode())


def test_a_lone_surrogate_is_counted() -> None:
    assert count_tokens(["a\ud800b"])[0] > 0


def test_another_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / TABLE.name
    other.write_bytes(TABLE.read_bytes()[:-20])
    monkeypatch.setattr(tokens, "_FILE", other)
    tokens._encoding.cache_clear()
    with pytest.raises(ConfigurationError, match="is not the released file; install rag-pipeline again"):
        count_tokens(["text"])
