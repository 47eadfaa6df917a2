"""Laws of sections and chunks, on generated documents; and examples of what they mean."""

import random
import subprocess
import sys
from hashlib import sha256

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Chunk, Document, Section
from rag_pipeline_tests.costs import assert_linear, no_hang
from rag_pipeline_tests.handbook import BUNDLE, MISSING, History, git
from rag_pipeline_tests.unit.documents.generated import DOCUMENTS, MARKDOWN, WORDS, count

BUDGETS = st.tuples(st.integers(8, 40), st.integers(20, 120))


def document(text: str, media_type: str = "text/markdown") -> Document:
    """Parse, and take a refusal (broken front matter, nothing visible) for an empty document."""
    try:
        return parse(text.encode("utf-8", "replace"), media_type)
    except DocumentError:
        return Document("", ())


def sections(text: str, max_tokens: int = 30, window_tokens: int = 90, cap: int = 512) -> list[Section]:
    return split(document(text), count, max_tokens, window_tokens, cap)


def chunks(found: list[Section]) -> list[Chunk]:
    return [chunk for section in found for chunk in section.chunks]


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, BUDGETS)
def test_positions_are_exact_and_in_order(case, budgets):
    parsed = document(*case)
    end = 0
    for section in split(parsed, count, *budgets):
        assert section.start >= end
        end = section.start + len(section.text)
        assert parsed.text[section.start : end] == section.text
        assert section.chunks
        inside = 0
        for chunk in section.chunks:
            assert inside <= chunk.start < chunk.end <= len(section.text)
            assert not section.text[inside : chunk.start].strip() or inside == 0
            body = section.text[chunk.start : chunk.end]
            assert chunk.text == body or (chunk.forced and chunk.text.endswith("\n" + body))
            inside = chunk.end
        assert inside == len(section.text)


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, BUDGETS)
def test_every_block_is_in_a_section_and_a_chunk(case, budgets):
    parsed = document(*case)
    found = split(parsed, count, *budgets)
    in_sections = {i for s in found for i in range(s.start, s.start + len(s.text))}
    in_chunks = {i for s in found for c in s.chunks for i in range(s.start + c.start, s.start + c.end)}
    names = {name for section in found for name in section.heading_path}
    for block in parsed.blocks:
        visible = {i for i in range(block.start, block.end) if not parsed.text[i].isspace()}
        if block.kind is BlockKind.HEADING:
            assert visible <= in_sections or block.title in names
        else:
            assert visible <= in_chunks <= in_sections


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, BUDGETS)
def test_no_border_is_inside_a_block_unless_forced(case, budgets):
    parsed = document(*case)
    for section in split(parsed, count, *budgets):
        for chunk in section.chunks:
            borders = (section.start + chunk.start, section.start + chunk.end)
            cut = [b for b in parsed.blocks if any(b.start < border < b.end for border in borders)]
            assert chunk.forced == bool(cut)
            for block in cut:
                assert count([parsed.text[block.start : block.end]])[0] > min(budgets)


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, BUDGETS, st.integers(8, 60))
def test_budgets_hold(case, budgets, cap):
    parsed = document(*case)
    for section in split(parsed, count, budgets[0], budgets[1], cap):
        heading = section.chunks[0].start
        assert count([section.text[heading:]])[0] <= budgets[1]
        for chunk in section.chunks:
            assert chunk.tokens == count([chunk.text])[0] <= budgets[0]
            assert count([chunk.embed_text])[0] <= cap
            assert chunk.embed_text.endswith(chunk.text)
            assert chunk.embed_hash == sha256(chunk.embed_text.encode()).digest()


@settings(max_examples=80, deadline=None)
@given(MARKDOWN)
def test_the_heading_path_is_the_heading_stack(text):
    parsed = document(text)
    for section in split(parsed, count, 30, 90):
        first = section.start + section.chunks[0].end - 1
        stack: list[tuple[int, str]] = []
        for block in parsed.blocks:
            if block.start > first:
                break
            if block.kind is BlockKind.HEADING:
                stack = [entry for entry in stack if entry[0] < block.level] + [(block.level, block.title)]
        assert section.heading_path == tuple(title for _, title in stack)


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, BUDGETS)
def test_keys_are_unique_and_occurrences_count_up(case, budgets):
    found = split(document(*case), count, *budgets)
    assert len({section.key for section in found}) == len(found)
    keys = [chunk.key for chunk in chunks(found)]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} <= {16}
    seen: dict[tuple[str, ...], int] = {}
    for section in found:
        assert section.occurrence == seen.get(section.heading_path, 0)
        seen[section.heading_path] = section.occurrence + 1


@settings(max_examples=80, deadline=None)
@given(MARKDOWN, WORDS, BUDGETS)
def test_a_section_inserted_above_changes_nothing_below(text, words, budgets):
    assume(not text.lstrip("\ufeff").startswith("---"))
    title = "---\ntitle: Title\n---\n"
    below = f"# Below zzz\n\nfirst\n\n{text}"
    before = sections(f"{title}intro\n\n{below}", *budgets)
    after = sections(f"{title}intro\n\n# Inserted qqq\n\n{words}\n\n{below}", *budgets)
    strip = [(s.key, s.heading_path, s.occurrence, s.text, s.chunks) for s in before]
    assert [
        (s.key, s.heading_path, s.occurrence, s.text, s.chunks) for s in after if "qqq" not in str(s.heading_path)
    ] == strip


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=8), min_size=2, max_size=6), st.data())
def test_an_edit_changes_chunks_of_its_own_section_only(bodies, data):
    def write(bodies: list[list[str]]) -> str:
        return "\n\n".join(f"## Part {number}\n\n" + "\n\n".join(body) for number, body in enumerate(bodies))

    edited = data.draw(st.integers(0, len(bodies) - 1))
    before = sections(write(bodies))
    body = bodies[edited]
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(WORDS) + " edited"
    after = sections(write(bodies))
    path = (f"Part {edited}",)
    assert [s.chunks for s in before if s.heading_path != path] == [s.chunks for s in after if s.heading_path != path]


def test_an_edit_in_a_long_section_embeds_about_one_text():
    """A single text may be unlucky with its borders, and one whose paragraphs are all alike is the worst case."""
    new: list[int] = []
    for seed in range(8):
        chance = random.Random(seed)
        words = ["river", "stone", "cloud", "meadow"]
        paragraphs = [" ".join(chance.choices(words, k=chance.randrange(20, 60))) for _ in range(120)]
        known = {chunk.embed_hash for chunk in chunks(sections("\n\n".join(paragraphs), 200, 800))}
        assert len(known) > 20
        for number in range(0, 120, 10):
            edited = list(paragraphs)
            edited[number] = edited[number].replace("stone", "pebble", 1) + " new"
            found = chunks(sections("\n\n".join(edited), 200, 800))
            new.append(len({chunk.embed_hash for chunk in found} - known))
    assert sum(new) / len(new) < 1.6


def test_a_long_section_is_cut_where_the_topic_changes():
    rivers = "The river carries water from the mountain springs down the valley, and the water feeds the river meadows."
    engines = "An engine burns fuel in its cylinders, and the pistons of the engine turn the crankshaft of the machine."
    for before in (5, 6, 7):
        text = "\n\n".join([rivers] * before + [engines] * (12 - before))
        first, *_ = chunks(sections(text, 200, 800))
        assert first.text.count("river meadows") == before
        assert "engine" not in first.text


def test_a_row_inserted_into_a_long_table_embeds_few_texts():
    rows = [f"| id{number} | {number * 7919 % 1000} |" for number in range(1_000)]
    header = "| id | value |\n|---|---|\n"
    known = {chunk.embed_hash for chunk in chunks(sections(header + "\n".join(rows), 200, 800))}
    found = chunks(sections(header + "\n".join([*rows[:50], "| new | 1 |", *rows[50:]]), 200, 800))
    assert len(found) > 30
    assert all(chunk.text.startswith(header) for chunk in found)
    assert len({chunk.embed_hash for chunk in found} - known) <= 5


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        (" \n\n***\n", []),
        ("intro\n\n# A\n\ntext", [((), "intro", ["intro"]), (("A",), "# A\n\ntext", ["text"])]),
        ("# A\n\n## B\n\ntext", [(("A", "B"), "## B\n\ntext", ["text"])]),
        ("# A\n\n# B", [(("A",), "# A", ["# A"]), (("B",), "# B", ["# B"])]),
        ("# A\n### B\nx\n## C\ny", [(("A", "B"), "### B\nx", ["x"]), (("A", "C"), "## C\ny", ["y"])]),
    ],
)
def test_outline(source, expected):
    assert [(s.heading_path, s.text, [c.text for c in s.chunks]) for s in sections(source)] == expected


@pytest.mark.parametrize(
    ("source", "embed_text"),
    [
        ("text", "text"),
        ("# A\n\n## B\n\ntext", "A > B\ntext"),
        ("---\ntitle: T\n---\n# A\n\ntext", "T > A\ntext"),
        ("---\ntitle: T\n---\ntext", "T\ntext"),
        ("text\n\n# A", "A\ntext"),
        ("#\n\n## B\n\ntext", "B\ntext"),
    ],
)
def test_embedded_text_names_title_and_path(source, embed_text):
    assert chunks(sections(source))[0].embed_text == embed_text


def test_the_outermost_names_give_way_to_the_cap():
    text = "---\ntitle: one two three\n---\n# four five\n\n## six\n\n" + "word " * 7
    assert [chunks(sections(text, 8, 90, cap))[0].embed_text.split("\n")[0] for cap in (15, 12, 9, 8, 7)] == [
        "one two three > four five > six",
        "four five > six",
        "six",
        "six",
        "word word word word word word word",
    ]


def test_small_blocks_share_a_chunk_and_a_colon_keeps_its_list():
    text = "\n\n".join(["word " * 14, "intro:", "- a b c d\n- e f g h", "word " * 14])
    found = chunks(sections(text, 30))
    assert [chunk.text.split("\n")[0].strip() for chunk in found][-1] != "- a b c d"
    assert any(chunk.text.startswith("intro:") or "intro:\n\n- a" in chunk.text for chunk in found)


def test_a_long_section_becomes_windows_of_one_path():
    text = "# A\n\n" + "\n\n".join(f"paragraph {number} " + "word " * 10 for number in range(20))
    found = sections(text, 30, 90)
    assert len(found) > 2
    assert {section.heading_path for section in found} == {("A",)}
    assert [section.occurrence for section in found] == list(range(len(found)))
    assert found[0].text.startswith("# A\n\n")


def test_equal_texts_and_headings_are_told_apart():
    found = sections("# A\n\n## Example\n\nsame\n\n## Example\n\nsame")
    assert [section.occurrence for section in found] == [0, 1]
    twins = sections("\n\n".join(["same " * 20] * 3), 25, 90)
    assert len({chunk.key for chunk in chunks(twins)}) == 3
    assert len({chunk.embed_hash for chunk in chunks(twins)}) == 1


def test_a_path_is_encoded_without_ambiguity():
    one = sections("# A > B\n\ntext")[0]
    two = sections("# A\n\n## B\n\ntext")[0]
    assert one.key != two.key
    assert one.chunks[0].embed_text == two.chunks[0].embed_text


def test_the_documents_name_does_not_matter():
    data = b"# A\n\ntext"
    assert split(parse(data, None, "a/b.md"), count, 30, 90) == split(parse(data, None, "c.md"), count, 30, 90)


def test_a_word_of_a_megabyte_is_cut_though_it_is_one_token():
    found = split(document("x" * 1_000_000), lambda texts: [1] * len(texts), 200, 800)
    assert max(len(chunk.text) for chunk in chunks(found)) <= 200 * 21


def test_two_calls_serve_a_document_whose_blocks_fit():
    calls = 0

    def counting(texts: list[str]) -> list[int]:
        nonlocal calls
        calls += 1
        return count(texts)

    split(document("# A\n\ntext\n\n" * 50), counting, 200, 800)
    assert calls == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "word " * n * 20,
        lambda n: "x" * n * 50,
        lambda n: "a\n\n" * n,
        lambda n: "# a\n\n" * n,
        lambda n: "".join("#" * (i % 6 + 1) + " h\n\ntext\n\n" for i in range(n)),
        lambda n: "|a|b|\n|-|-|\n" + "|1|2|\n" * n,
        lambda n: "|a" * n + "\n" + "|-" * n + "\n" + "|b" * n,
    ],
    ids=["one line", "one word", "paragraphs", "headings", "outline", "long table", "wide table"],
)
def test_work_is_linear_in_size_and_nothing_hangs(make):
    small, large, vast = (document(make(size)) for size in (500, 2_000, 8_000))
    assert_linear(lambda: split(small, count, 200, 800), lambda: split(large, count, 200, 800))
    with no_hang():
        split(vast, count, 200, 800)


def test_the_hash_seed_does_not_matter():
    program = (
        "from rag_pipeline.documents import parse\nfrom rag_pipeline.chunks import split\n"
        "text = '# A\\n\\n' + '\\n\\n'.join('word ' * n for n in range(1, 60))\n"
        "print(split(parse(text.encode(), 'text/markdown'), lambda texts: [len(t.split()) for t in texts], 60, 200))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.skipif(not BUNDLE.exists(), reason=MISSING)
def test_the_handbook_is_cut_within_its_budgets(tmp_path):
    repository = History.unpack(tmp_path).repository
    for name in git(repository, "ls-tree", "-r", "--name-only", "main").splitlines():
        parsed = parse(git(repository, "show", f"main:{name}").encode(), "text/markdown", name)
        found = split(parsed, count, 200, 800)
        assert bool(found) == bool(parsed.blocks), name
        for section in found:
            assert parsed.text[section.start :].startswith(section.text)
            assert all(0 < chunk.tokens <= 200 for chunk in section.chunks), name
            assert sum(chunk.tokens for chunk in section.chunks) <= 800
