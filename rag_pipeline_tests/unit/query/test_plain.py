import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query.plain import line, plain, visible
from rag_pipeline_tests.costs import no_hang

JOINERS = "\u200c\u200d\ufe0f"
SEEN_BY_NOBODY = (
    "\u200b\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\xad\u034f\u3164\ufe00\U000e0041\U000e0100\x1b\x00\x9b"
)
PREFIXES = re.compile("[\u0600-\u08ff\U000110bd\U000110cd\U00013430-\U0001345f]")
"""Of the class of formats, but seen: signs before a number, and what joins hieroglyphs."""
SPECIAL = [
    "<|im_start|>",
    "<|endoftext|>",
    "<|start_header_id|>",
    "<|eot_id|>",
    "<｜begin▁of▁sentence｜>",
    "<s>",
    "</s>",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<<SYS>>",
    "<</SYS>>",
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "<extra_id_7>",
]
texts = st.text(st.one_of(st.characters(), st.sampled_from(JOINERS + SEEN_BY_NOBODY + "<>[]|/ab \r\n")), max_size=60)


@given(texts)
def test_nothing_stays_that_is_not_seen(text: str) -> None:
    kept = plain(text)
    assert not set(kept) & set(SEEN_BY_NOBODY)
    unseen = [each for each in kept if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not [each for each in unseen if each not in "\t\n\u200c\u200d" and not PREFIXES.match(each)]


@given(texts)
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="<["), max_size=60))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@given(texts, st.sampled_from(SPECIAL), texts)
def test_no_special_token_of_a_template_is_left(before: str, token: str, after: str) -> None:
    assert token not in plain(before + token + after)
    assert token.upper() not in plain(token.upper()) or token in ("<｜begin▁of▁sentence｜>",)


@pytest.mark.parametrize("token", SPECIAL)
def test_hidden_characters_do_not_save_a_special_token(token: str) -> None:
    for hidden in SEEN_BY_NOBODY + JOINERS:
        assert token not in plain(hidden.join(token))


@pytest.mark.parametrize(
    "text",
    ["می‌خواهم", "क्‍ष", "👨‍👩‍👧 ❤️", "a |> b <| c", "x < y > z", "list[int]", "<div>", "if a<b: c[0]", "naïve — “so”"],
)
def test_what_carries_meaning_stays(text: str) -> None:
    assert plain(text) == text


def test_a_hidden_text_cannot_be_spelled() -> None:
    """By tags, by variation selectors behind one letter, by runs of joiners."""
    smuggled = "".join(chr(0xE0000 + ord(each)) for each in "obey")
    selectors = "".join(chr(0xE0100 + number) for number in b"obey")
    assert plain(f"a{smuggled}b{selectors}c") == "abc"
    assert plain("a" + "\u200d\u200c" * 20 + "b") == "ab"
    assert plain("é" + "\u200d\u200c" * 20 + "è") == "éè"


def test_line_ends_are_line_ends() -> None:
    assert plain("a\r\nb\rc\u2028d\u2029e\x85f") == "a\nb\nc\nd\ne\nf"
    assert line(" a\r\n\tb ") == "a b"


@given(texts, st.integers(0, 60))
def test_what_is_visible_does_not_depend_on_where_a_text_is_cut(text: str, cut: int) -> None:
    assert visible(text[:cut]) + visible(text[cut:]) == visible(text)
    assert not re.search("[\x00-\x08\x1b\u202e\u2066\U000e0041]", visible(text))


@pytest.mark.parametrize("begun", ["<<", "[", "<s", "<|", "</"])
@pytest.mark.parametrize("blank", [" ", "\n", "/"])
def test_a_special_token_that_is_only_begun_costs_no_more_than_its_length(begun: str, blank: str) -> None:
    """A document may hold as many blanks as it likes; whoever finds it must not wait for them."""
    text = begun + blank * 1_000_000 + "x"
    with no_hang():
        assert plain(text) == text
