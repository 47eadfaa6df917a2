from rag_pipeline.documents import parse
from rag_pipeline.model import BlockKind


def test_paragraphs_end_at_blank_lines_and_keep_their_indentation():
    document = parse(b"\n\n  one\n  two  \n \t\n\n\tthree\n", "text/plain")
    assert [document.text[block.start : block.end] for block in document.blocks] == ["  one\n  two", "\tthree"]
    assert {block.kind for block in document.blocks} == {BlockKind.PARAGRAPH}


def test_prose_may_have_front_matter():
    document = parse(b"---\ntitle: T\n---\nbody", "text/plain")
    assert document.title == "T"
    assert [document.text[block.start : block.end] for block in document.blocks] == ["body"]


def test_source_has_no_front_matter_and_is_code():
    source = b"---\nkind: a\n---\nkind: b\n\ndef f():\n    return {{ x }}\n"
    document = parse(source, "text/x-source")
    assert document.title == ""
    assert document.text == source.decode()
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        (BlockKind.CODE, "---\nkind: a\n---\nkind: b"),
        (BlockKind.CODE, "def f():\n    return {{ x }}"),
    ]
    assert parse(source, "application/json").blocks == document.blocks
