import os
import re
from pathlib import Path

import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.transcript import looks_like_turns
from rag_pipeline.model import Document
from rag_pipeline_tests.unit.documents.generated import MARKED, NASTY, WORD, WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count, parsed

VTT, SRT, TURNS = "text/vtt", "application/x-subrip", "text/x-transcript"
KINDS = (VTT, SRT, TURNS)
DATA = Path(os.environ.get("RAG_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared/data") / "transcripts"
MEETING = """WEBVTT - Weekly
Kind: captions
Language: en

STYLE
::cue { color: red }

NOTE nobody
reads this

intro
00:01.000 --> 00:03.000 align:start position:0%
<v.loud Ana Lee>Welcome &amp; hello,<c.x> all</c> of you</v>

00:03.000 --> 00:05.000
to the <i>weekly</i> meeting.

00:05.200 --> 00:06.000
We start now.

00:09.000 --> 00:10.000
<v Ben>Fine &lt;3.</v>
"""


def said(source: str, kind: str = VTT) -> list[tuple[str, tuple[float, float] | None, tuple[str, ...], bool]]:
    document = parse(source.encode(), kind)
    assert_lawful(document)
    places = [(block, block.place) for block in document.blocks]
    return [
        (
            document.text[block.start : block.end],
            place.seconds if place else None,
            place.speakers if place else (),
            block.clings,
        )
        for block, place in places
    ]


def texts(source: str, kind: str = VTT) -> list[str]:
    return [text for text, *_ in said(source, kind)]


def cues(*lines: str) -> str:
    return "\n\n".join(f"00:{n:02}.000 --> 00:{n + 1:02}.000\n{line}" for n, line in enumerate(lines))


def test_cues_become_utterances_of_speakers():
    assert said(MEETING) == [
        ("Ana Lee: Welcome & hello, all of you to the weekly meeting.", (1.0, 5.0), ("Ana Lee",), False),
        ("We start now.", (5.2, 6.0), ("Ana Lee",), True),
        ("Ben: Fine <3.", (9.0, 10.0), ("Ben",), False),
    ]
    document = parse(MEETING.encode(), VTT)
    assert document.title == "Weekly"
    assert document.metadata == {"kind": "captions", "language": "en"}


def test_a_pause_ends_an_utterance_and_lets_go():
    source = "00:01.000 --> 00:02.000\none\n\n00:03.500 --> 00:04.000\ntwo\n\n00:05.000 --> 00:06.000\nthree"
    assert said(source) == [("one", (1.0, 2.0), (), False), ("two three", (3.5, 6.0), (), False)]


def test_an_utterance_stays_short_where_cues_allow_and_no_cue_is_cut():
    long = "a long remark without an end " * 30
    source = cues(*["some ten words that do not end a sentence at all"] * 20, long)
    for text in texts(source):
        assert len(text) <= 280 or text == long.strip()
    assert " ".join(texts(source)).split() == re.sub(r"\S+ --> \S+", "", source).split()


def test_ellipses_go_on_and_chapters_stand_alone():
    assert texts(cues("and then...", "he left.", "Why?")) == ["and then... he left.", "Why?"]
    assert texts("00:00.000 --> 00:47.000\nIntro\n\n00:47.000 --> 01:47.000\nEnd") == ["Intro", "End"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["ANA: hello", "there", "BEN: hi"], ["ANA: hello there", "BEN: hi"]),
        (["- Hello.\n- Hi."], ["Hello.", "Hi."]),
        (["-Hello.\n-ANA: Hi."], ["Hello.", "ANA: Hi."]),
        (["everyone\n- staff, too"], ["everyone - staff, too"]),
        ([">> I see.", "&gt;&gt; ANA: yes", "we do"], ["I see.", "ANA: yes we do"]),
        (["Ana: one.", "Ben: two.", "Ana: three."], ["Ana: one.", "Ben: two.", "Ana: three."]),
        (["Remember: one.", "two"], ["Remember: one.", "two"]),
        (["<v Ana>one", "[ music ]", "two"], ["Ana: one", "[ music ]", "Ana: two"]),
        (["<v Ana>one.", "[Ben] two"], ["Ana: one.", "[Ben] two"]),
        (["<v Ana>a <v Ben>b"], ["Ana: a", "Ben: b"]),
        (["<v Ana>one.", "<v Ana>two.", "three.", "<v Ben>four"], ["Ana: one.", "two.", "three.", "Ben: four"]),
        (["{\\an8}<font color='red'>x</font> a<b and <script>"], ["x a<b and <script>"]),
    ],
)
def test_speakers_and_marks(lines, expected):
    assert texts(cues(*lines)) == expected
    assert texts(cues(*lines), SRT) == expected


def test_a_file_that_names_each_cue_gives_unnamed_cues_to_nobody():
    speakers = [who for _, _, who, _ in said(cues("<v Ana>one.", "<v Ana>two.", "three."))]
    assert speakers == [("Ana",), ("Ana",), ()]


def test_captions_that_roll_up_are_read_once():
    source = """WEBVTT

00:00.000 --> 00:02.000
so<00:00.500><c> this</c><00:01.000><c> is</c>

00:02.000 --> 00:02.010
so this is

00:02.010 --> 00:04.000
so this is
how<00:02.500><c> it</c><00:03.000><c> goes</c>
"""
    assert texts(source) == ["so this is how it goes"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        (" \n\t\n", []),
        ("WEBVTT", []),
        ("WEBVTT\n\nNOTE\nx", []),
        ("no header, no cues\n\nat all", [("no header, no cues at all", None)]),
        ("00:05.000 --> 00:02.000\nback", [("back", (5.0, 5.0))]),
        ("-00:00:05.000 --> 00:02.000\nbelow zero", [("below zero", (0.0, 2.0))]),
        ("00:05.000 --> 00:09.000\na.\n\n00:01.000 --> 00:06.000\nb.", [("a.", (5.0, 9.0)), ("b.", (1.0, 6.0))]),
        ("00:01.000 --> 00:02.000\n\n00:02.000 --> 00:03.000\nx", [("x", (2.0, 3.0))]),
        ("00:01.000 --> 00:02.000\na.\n00:02.000 --> 00:03.000\nb", [("a.", (1.0, 2.0)), ("b", (2.0, 3.0))]),
        ("00:01.000 --> 00:02.000\na\n\nkept\n\n00:02.000 --> 00:03.000\nb", [("a kept b", (1.0, 3.0))]),
        (
            "1\n00:00:01,5 --> 00:00:02,25\na\n\n2\n00:00:03,0 --> 1:00:00,0\nb",
            [("a", (1.5, 2.25)), ("b", (3.0, 3600.0))],
        ),
        ("1\n\n00:00:01,000 --> 00:00:02,000\na", [("a", (1.0, 2.0))]),
        ("00:01.000 --> oops\na", [("00:01.000 --> oops a", None)]),
        ("00:01.000 --> 00:02.000\n1999\n\n00:02.000 --> 00:03.000\nb", [("1999 b", (1.0, 3.0))]),
    ],
)
def test_broken_files_keep_their_text(source, expected):
    kind = VTT if source.startswith("WEBVTT") else SRT
    assert [(text, seconds) for text, seconds, *_ in said(source, kind)] == expected


def test_turns():
    source = (
        "Planning, 3 May\n\n[00:00:01] Ana Lee: Hello there, everyone. Let us start.\n"
        "(00:05) Ben: I have news.\nAnd this goes on.\n\n"
        "00:00:12.5 - Ana Lee: Which?\nBen [00:20]: Good.\nSpeaker 1: me"
    )
    assert said(source, TURNS) == [
        ("Planning, 3 May", None, (), False),
        ("Ana Lee: Hello there, everyone. Let us start.", (1.0, 5.0), ("Ana Lee",), False),
        ("Ben: I have news.", (5.0, 12.5), ("Ben",), False),
        ("And this goes on.", (5.0, 12.5), ("Ben",), True),
        ("Ana Lee: Which?", (12.5, 20.0), ("Ana Lee",), False),
        ("Ben: Good.", (20.0, 20.0), ("Ben",), False),
        ("Speaker 1: me", None, ("Speaker 1",), False),
    ]


def test_a_long_turn_is_parted_between_sentences():
    sentence = "This is one of the many sentences that Ana says in her turn, all alike. "
    parts = said("Ana: " + sentence * 20 + "\nBen: no", TURNS)
    assert all(len(text) < 300 for text, *_ in parts)
    assert all(text.endswith("alike.") for text, *_ in parts[:-1])
    assert [clings for *_, clings in parts] == [False] + [True] * (len(parts) - 2) + [False]


def talk(*names: str, turns: int = 6) -> str:
    return "\n".join(f"{names[n % len(names)]}: this is what I wanted to say" for n in range(turns))


@pytest.mark.parametrize(
    "text",
    [
        talk("Ana", "Ben"),
        talk("Ana Lee", "Speaker 2", turns=9),
        talk("Dr. Müller", "Q"),
        "\n\n".join(f"[00:0{n}:01] {'AB'[n % 2]}na: and so we went on with it" for n in range(8)),
        talk("Ana", "Ben", turns=20) + "\nand one more line",
    ],
)
def test_transcripts_are_recognised(text):
    assert looks_like_turns(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        talk("Ana", "Ben", turns=4),
        talk("Ana"),
        talk("Ana", "Ben", "Carl", "Dora", "Eve", "Finn"),
        talk("INFO", "ERROR"),
        talk("Note", "Warning"),
        talk("name", "title"),
        talk("This is a sentence that", "Ben"),
        "\n".join(f"{'AB'[n % 2]}: {n}" for n in range(20)),
        talk("Ana", "Ben", turns=6) + "\nprose follows here" * 4,
        "\n".join(f"http://x.org/{n} is an address to visit" for n in range(9)),
        "\n".join(f"12:0{n}: something happened at this time" for n in range(9)),
        "# Title\n\nAna: this is a word I said\n\nSome prose, and more prose.\n" * 5,
    ],
)
def test_other_texts_are_not(text):
    assert not looks_like_turns(text)


TIME = st.tuples(st.integers(0, 9), st.integers(0, 59), st.integers(0, 999))
STAMP = TIME.map(lambda t: f"{t[0]:02}:{t[1]:02}.{t[2]:03}")
VOICES = st.sampled_from(
    ["", "<v Ana>", "<v Ben Lee>", "ANA: ", "Ben: ", "- ", ">> ", "<i>", "[x] ", "NOTE ", "STYLE\n"]
)
CUE = st.tuples(STAMP, st.sampled_from([" --> ", "-->", " -> "]), STAMP, VOICES, st.one_of(WORDS, MARKED)).map(
    lambda c: f"{c[0]}{c[1]}{c[2]}\n{c[3]}{c[4]}"
)
TURN = st.tuples(st.sampled_from(["Ana: ", "Ben Lee: ", "[00:01] Ana: ", "Ana (1:00:02): ", ""]), WORDS | MARKED).map(
    "".join
)
FILES = st.one_of(
    st.tuples(st.sampled_from(["WEBVTT\n\n", "WEBVTT - x\na: b\n\n", ""]), st.lists(CUE | MARKED, max_size=8)).map(
        lambda pair: pair[0] + "\n\n".join(pair[1])
    ),
    st.lists(TURN, max_size=10).map("\n".join),
    st.text(max_size=60),
    st.text("0123456789:.-> \n<v/>WEBVT&#;{}\\" + NASTY, max_size=80),
)


@settings(max_examples=120, deadline=None)
@given(FILES, st.sampled_from(KINDS))
def test_laws(source, kind):
    document = parsed(source.encode("utf-8", "replace"), kind)
    assert_lawful(document)
    assert_chunks_cover(document)
    for block in document.blocks:
        if block.place and block.place.seconds:
            assert 0 <= block.place.seconds[0] <= block.place.seconds[1]


@settings(max_examples=100, deadline=None)
@given(FILES, st.sampled_from(KINDS))
def test_line_ends_and_marks_make_no_difference(source, kind):
    lines = clean(source.encode("utf-8", "replace").decode())
    document = parsed(lines.encode(), kind)
    for twin in (lines.replace("\n", "\r\n"), lines.replace("\n", "\r"), "\ufeff" + lines):
        assert parsed(twin.encode(), kind) == document


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(WORD, min_size=1, max_size=30).map(" ".join), min_size=1, max_size=20),
    st.sampled_from((VTT, SRT)),
)
def test_no_word_of_a_cue_is_lost(lines, kind):
    document = parse(cues(*lines).encode(), kind)
    assert document.text.split() == " ".join(lines).split()


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=20))
def test_a_chunk_never_cuts_an_utterance_that_fits(lines):
    document = parse(cues(*lines).encode(), VTT)
    edges = {block.start for block in document.blocks} | {block.end for block in document.blocks}
    for section in split(document, count, 200, 800):
        for chunk in section.chunks:
            assert {section.start + chunk.start, section.start + chunk.end} <= edges
            assert chunk.place.seconds is not None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TIME, st.lists(WORD, min_size=1, max_size=8).map(" ".join)), min_size=1, max_size=8))
def test_well_formed_files_are_read_as_webvtt_py_reads_them(parts):
    source = "WEBVTT\n\n" + "\n\n".join(
        f"{a:02}:{b:02}.{c:03} --> {a + 1:02}:{b:02}.{c:03}\n{text}" for (a, b, c), text in parts
    )
    theirs = webvtt.from_string(source)
    ours = parse(source.encode(), VTT)
    assert ours.text.split() == " ".join(caption.text for caption in theirs).split()
    spans = [block.place.seconds for block in ours.blocks if block.place and block.place.seconds]
    times = [(caption.start_in_seconds, caption.end_in_seconds) for caption in theirs]
    assert min(begin for begin, _ in spans) == pytest.approx(min(begin for begin, _ in times), abs=1)
    assert max(end for _, end in spans) == pytest.approx(max(end for _, end in times), abs=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "piece",
    [
        "<v ",
        "<v\t",
        "&",
        "&#9",
        "- ",
        ">> ",
        "A:",
        "00:01.000 -->",
        "1\n",
        "x\n\n",
        "00:00.000 --> 00:01.000\nx\n",
        "A: b. ",
        "{\\",
        " ",
    ],
)
def test_time_grows_with_size(piece, kind):
    document = parse((piece * (100_000 // len(piece))).encode(), kind)
    assert isinstance(document, Document)


def files() -> list[Path]:
    return sorted(DATA.glob("*.vtt"))


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data: set RAG_SHARED_DATA to read the real captions")
def test_real_captions_keep_every_word():
    assert len(files()) > 15
    for file in files():
        document = parse(file.read_bytes(), VTT)
        assert_lawful(document)
        assert_chunks_cover(document)
        for caption in webvtt.read(str(file)):
            words = clean(caption.text.replace("&nbsp;", " ")).replace("\n", " ").split()
            if words:
                assert " ".join(words).lstrip("- ") in " ".join(document.text.split()), (file.name, caption.text)
