"""Reports as agencies publish them, where the shared data is at hand."""

import os
from pathlib import Path

import pytest

from rag_pipeline.documents.pdf import parse
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful

DATA = Path(os.environ.get("RAG_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared/data") / "pdf"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="no shared data: set RAG_SHARED_DATA to read the real reports"
)


def test_an_outline_is_found_on_the_pages() -> None:
    plan = parse((DATA / "NARA2022.pdf").read_bytes())
    assert_lawful(plan)
    assert_chunks_cover(plan, max_tokens=200)
    assert plan.title == "NARA 2022–2026 Strategic Plan"  # what is declared, NARA2022, says nothing
    top = [block.title for block in plan.blocks if block.kind is BlockKind.HEADING and block.level == 1]
    assert top[:4] == ["Vision", "Mission", "Values", "1 Access"]
    assert all(block.start < block.end for block in plan.blocks)


def test_white_on_white_is_left_out() -> None:
    assert "PLACEHOLDER" not in parse((DATA / "GSA2022.pdf").read_bytes()).text


def test_a_report_of_tables() -> None:
    accident = parse((DATA / "ntsb_20071229X02007.pdf").read_bytes())
    assert_lawful(accident)
    assert "Aircraft Make: | Piper | Registration: | N5921D\n" in accident.text
    assert not any(f"Page {number} of 4" in accident.text for number in range(1, 5))


def test_a_scan_has_no_text() -> None:
    with pytest.raises(DocumentError, match=r"^no_text_layer"):
        parse((DATA / "image_only_NCT06155240.pdf").read_bytes())
