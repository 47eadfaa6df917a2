import os
import pty
import re
import sys
import termios

import pytest

from rag_pipeline.cli.progress import StageProgress


def work(progress: StageProgress) -> None:
    progress("source_snapshot", 1_200, 1_200)
    for done in range(64, 320, 64):
        progress("embeddings", done, 256)


def test_without_a_terminal_each_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress("docs") as progress:
        work(progress)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "docs: source_snapshot: 1,200 documents\ndocs: embeddings: 256 texts\n"


def test_a_failure_still_ends_the_stage(capsys: pytest.CaptureFixture[str]) -> None:
    def break_off() -> None:
        with StageProgress("docs") as progress:
            progress("chunks", 3, 9)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert capsys.readouterr().err == "docs: chunks: 3 documents\n"


def test_a_terminal_shows_bars_even_when_stderr_is_redirected_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with StageProgress("docs") as progress:
            monkeypatch.undo()
            work(progress)
        written = b""
        # A terminal hands over what it has so far, which may be less than what was written.
        while not re.search(rb"256/256.*texts/s", written):
            written += os.read(ours, 65_536)
        shown = written.decode()
    os.close(ours)
    assert "docs: source_snapshot: 100%" in shown
    assert "256/256" in shown
    assert "texts/s" in shown
