import pytest

from rag_pipeline.sources.media_types import media_type


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("docs/a.md", "text/markdown"),
        ("A.MARKDOWN", "text/markdown"),
        ("site/index.HTM", "text/html"),
        ("x.tar.sql", "text/x-sql"),
        ("src/main.rs", "text/x-rust"),
        ("deep/README", "text/plain"),
        ("notes.txt", "text/plain"),
        ("Makefile", "text/x-source"),
        ("picture.png", None),
        ("md", None),
        (".md", None),
        ("a.md/b", None),
    ],
)
def test_media_type(path: str, expected: str | None) -> None:
    assert media_type(path) == expected
