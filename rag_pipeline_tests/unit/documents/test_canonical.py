import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.documents.canonical import canonical, clean, decode
from rag_pipeline.errors import DocumentError
from rag_pipeline_tests.unit.documents.generated import NASTY

FORBIDDEN = {*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF} - {0x09, 0x0A}
FORBIDDEN |= {*range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xE0000, 0xE0080), *range(0xD800, 0xE000)}


@given(st.one_of(st.text(), st.text("ab\r\n" + NASTY + "\ud800#*1©⃣🇩\U0001f3fdक्می")))
def test_clean_is_idempotent_and_leaves_nothing_forbidden(text):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert not FORBIDDEN & {ord(char) for char in cleaned}


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_left_alone(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    ["👩‍👩‍👧 ❤️ 1️⃣ 👍🏽 🏳️‍🌈", "می‌خواهم", "क्‍ष क्‌ष", "葛󠄀", "Ångström café", "a\tb\n", "a\u2028b"],
    ids=["emoji", "persian", "hindi", "ideograph variant", "accents", "blanks", "line separator"],
)
def test_what_carries_meaning_stays(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("in\u200dvis\u200cible", "invisible"),
        ("x\ufe0fy\U000e0101", "xy"),
        ("👩\ufe0f\ufe0f\ufe0f", "👩\ufe0f"),
        ("ig\U000e0049\U000e0047nore", "ignore"),
        ("a\u202eb\u2066c", "abc"),
        ("\x1b[31mred\x00", "[31mred"),
        ("page\fpage\vline\x85line\rline\r\nline", "page\npage\nline\nline\nline\nline"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_what_is_invisible_goes(text, cleaned):
    assert clean(text) == cleaned


def test_a_few_broken_bytes_do_not_spoil_utf_8():
    assert decode("für Ä".encode() + b"\xff" + "ö".encode()) == "für Ä\ufffdö"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Der Bär aß naïve Äpfel", "cp1252"),
        ("it’s a “quote”", "cp1252"),
        ("Привет, мир! Это проверка кодировки.", "koi8_r"),
        ("これは日本語のテキストです。文字コードを確認します。", "shift_jis"),
    ],
)
def test_legacy_encodings_are_recognised(text, encoding):
    assert canonical(text.encode(encoding)) == text


def test_the_declared_encoding_is_believed_when_the_bytes_are_not_utf_8():
    data = "Nie za dużo, ale zażółć trochę".encode("cp1250")
    assert decode(data, "windows-1250") == "Nie za dużo, ale zażółć trochę"
    assert decode("ż".encode(), "windows-1250") == "ż"
    for unusable in ("no-such-charset", "utf-16", "base64", "\x00"):
        assert decode(data, unusable)


def test_a_stray_nul_is_removed_but_many_are_binary():
    assert canonical(b"hello\x00world") == "helloworld"
    with pytest.raises(DocumentError, match="binary"):
        canonical(b"\x7fELF\x02\x01\x01" + bytes(50))


def test_mostly_lost_text_is_refused():
    with pytest.raises(DocumentError, match="undecodable"):
        canonical(b"\xfe\xff" + b"\xd8\x00" * 50)
