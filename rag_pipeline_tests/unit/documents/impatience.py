"""Parser processes that have little time for some documents, and enough for the others, on any machine."""

from collections.abc import Callable

import pytest

from rag_pipeline.documents.process import ParserProcess


def impatient(monkeypatch: pytest.MonkeyPatch, about: Callable[[str, bytes], bool], seconds: float) -> None:
    """Let a document take only `seconds` if `about` is true of its kind and data; its neighbours keep their limit."""
    ask = ParserProcess.ask

    def asked(process: ParserProcess, kind: str, data: bytes) -> tuple[bytes, bytes]:
        if about(kind, data):
            process._seconds = seconds
        return ask(process, kind, data)

    monkeypatch.setattr(ParserProcess, "ask", asked)
