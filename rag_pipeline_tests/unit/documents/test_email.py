import random
from base64 import b64encode
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.errors import DocumentError
from rag_pipeline_tests.costs import no_hang
from rag_pipeline_tests.unit.documents.generated import HTML, NASTY, TEXT, WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count, parsed

EMAIL = "message/rfc822"
HEAD = b"From: ana@example.org\nSubject: Plan\n"


def blocks(data: bytes) -> list[tuple[str, str]]:
    document = parse(data, EMAIL)
    assert_lawful(document)
    assert_chunks_cover(document)
    return [(block.kind.value, document.text[block.start : block.end]) for block in document.blocks]


def body(data: bytes) -> list[tuple[str, str]]:
    """What follows the subject and the line about the sender."""
    return blocks(data)[2:]


def test_headers():
    document = parse(
        b"From: =?utf-8?B?QW5hIEzDqWU=?= <ana@example.org>\nTo: ben@example.org,\n carl@example.org\n"
        b"Subject: Re: =?iso-8859-1?q?Gr=FC=DFe?= and =?utf-8?q?m=C3?=\n =?utf-8?q?=A4r?=\n"
        b"Date: Fri, 03 May 2024 14:02:11 +0200\nMessage-ID: <x@y>\n\nHello.\n",
        EMAIL,
    )
    assert document.title == "Re: Grüße and mär"
    assert document.text == "Re: Grüße and mär\n\nFrom: Ana Lée <ana@example.org>, Date: 2024-05-03\n\nHello."
    assert document.metadata == {
        "from": "Ana Lée <ana@example.org>",
        "to": "ben@example.org, carl@example.org",
        "date": "2024-05-03T12:02:11+00:00",
        "message_id": "<x@y>",
    }


def test_quotations_and_signatures():
    text = (
        "Hi,\nsee below.\n\nOn Thu, 2 May 2024, Ben\n<ben@example.org> wrote:\n\n> First.\n> More.\n>\n>> Older.\n"
        "No.\n\nOn reflection I wrote: nothing.\n-- \nAna\nACME"
    )
    assert body(HEAD + b"\n" + text.encode()) == [
        ("paragraph", "Hi,\nsee below."),
        ("quote", "On Thu, 2 May 2024, Ben\n<ben@example.org> wrote:"),
        ("quote", "> First.\n> More."),
        ("quote", ">> Older."),
        ("paragraph", "No."),
        ("paragraph", "On reflection I wrote: nothing."),
        ("paragraph", "-- \nAna\nACME"),
    ]


def test_what_follows_the_original_message_is_quoted():
    assert body(HEAD + b"\nYes.\n\n-----Original Message-----\nFrom: Ben\n\nMay I?\n") == [
        ("paragraph", "Yes."),
        ("quote", "-----Original Message-----\nFrom: Ben"),
        ("quote", "May I?"),
    ]


def message(plain: str | None, page: str | None) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["Subject"] = "ana@example.org", "Plan"
    if plain is not None:
        mail.set_content(plain)
        if page is not None:
            mail.add_alternative(page, subtype="html")
    elif page is not None:
        mail.set_content(page, subtype="html")
    return mail


def test_plain_text_is_preferred_to_html_unless_it_is_empty():
    assert body(bytes(message("plain", "<p>page</p>"))) == [("paragraph", "plain")]
    assert body(bytes(message(" \n", "<h1>Page</h1><blockquote>q</blockquote>"))) == [
        ("heading", "Page"),
        ("quote", "q"),
    ]
    mail = message(None, "<p>only <b>page</b></p><script>x</script>")
    assert body(bytes(mail)) == [("paragraph", "only page")]


def test_attachments_are_named_and_never_read():
    mail = message("see the report", None)
    mail.add_attachment(b"%PDF-1.7 secret", maintype="application", subtype="pdf", filename="Bericht für Ana.pdf")
    mail.add_attachment("secret,text", subtype="csv", filename="../../etc/passwd")
    mail.add_attachment("secret", filename="a.txt")
    document = parse(bytes(mail), EMAIL)
    assert document.metadata["attachments"] == ["Bericht für Ana.pdf", "../../etc/passwd", "a.txt"]
    assert "secret" not in document.text


def test_a_forwarded_message_is_a_section():
    inner = message("the old text", None)
    inner.replace_header("Subject", "Older")
    outer = message("see below", None)
    outer.add_attachment(inner)
    document = parse(bytes(outer), EMAIL)
    assert [section.heading_path for section in split(document, count, 40, 160)] == [("Plan",), ("Plan", "Older")]
    assert document.text.endswith("Older\n\nFrom: ana@example.org\n\nthe old text")
    assert "attachments" not in document.metadata


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("us-ascii", "grüße".encode(), "grüße"),
        ("iso-8859-1", "grüße".encode(), "grüße"),
        ("iso-8859-1", "grüße".encode("latin-1"), "grüße"),
        ("no-such-charset", "viele schöne Grüße an alle".encode("latin-1"), "viele schöne Grüße an alle"),
        ("koi8-r", "привет всем".encode("koi8-r"), "привет всем"),
        ("iso-2022-jp", "日本語".encode("iso-2022-jp"), "日本語"),
        ("utf-8", b"\xff ok and more text than that", " ok and more text than that"),
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_charsets_may_lie(charset, raw, text, encoded):
    head = HEAD + f"Content-Type: text/plain; charset={charset}\n".encode()
    if encoded:
        data = head + b"Content-Transfer-Encoding: base64\n\n" + b64encode(raw)
    else:
        data = head + b"Content-Transfer-Encoding: 8bit\n\n" + raw
    assert text in body(data)[0][1]


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?utf-8?x?abc?= y", "=?utf-8?x?abc?= y"),
        (b"=?nonsense?q?gr=FC?=", "grü"),
        ("grüße".encode("latin-1"), "grüße"),
        ("日本".encode(), "日本"),
        (b"a\xe2\x80\xaeb =?utf-8?q?=E2=80=AE=00c?=", "ab c"),
        (b"<|endoftext|> [INST]", "<|endoftext|> [INST]"),
        (b"", ""),
    ],
)
def test_subjects(subject, title):
    assert parse(b"From: a@b\nSubject: " + subject + b"\n\nx", EMAIL).title == title


@pytest.mark.parametrize(
    "date", [b"", b"yesterday", b"Fri, 99 May 99999 99:99:99 +9999", b"Mon, 1 Jan 0001 00:00:00 +2359", b"\xff" * 9]
)
def test_dates_that_cannot_be_read_do_no_harm(date):
    data = b"From: a@b\nDate: " + date + b"\n\ntext"
    assert blocks(data)[-1] == ("paragraph", "text")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: multipart/mixed\n",
        b"Content-Type: multipart/mixed; boundary=\n",
        b"Content-Type: ;;;=\n",
        b"Content-Type: text/plain; charset\n",
        b"Content-Transfer-Encoding: x-nothing\n",
        b"Content-Disposition: inline; filename*=no'such'%ff\n",
        b"no colon here\n",
        b'Content-Type: text/plain; charset="\0"\n',
    ],
)
def test_malformed_headers_lose_no_text(head):
    assert "the text" in parse(HEAD + head + b"\nthe text, sch\xc3\xb6n", EMAIL).text


def test_an_empty_file_is_an_empty_document_and_anything_else_is_refused():
    assert parse(b" \r\n", EMAIL).blocks == ()
    with pytest.raises(DocumentError, match="no headers"):
        parse(b"just text, no mail", EMAIL)
    for kind in (b"multipart/encrypted; boundary=x", b"application/pkcs7-mime; smime-type=enveloped-data"):
        with pytest.raises(DocumentError, match="encrypted"):
            parse(HEAD + b"Content-Type: " + kind + b"\n\n--x\n\n--x--\n", EMAIL)


def nested(depth: int) -> bytes:
    parts = [f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth)]
    return HEAD + "".join(parts).encode() + b"\ndeep"


def test_bombs():
    forwards = HEAD + b"Content-Type: message/rfc822\n\n" * 3000 + b"x"
    parts = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 1500 + b"--b--\n"
    many = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 1_000_000
    for data in (
        forwards,
        HEAD + b"Content-Type: message/rfc822\n\n" * 50 + b"x",
        parts,
        many,
        nested(100),
        nested(5000),
    ):
        with no_hang(), pytest.raises(DocumentError, match="e-mail"):
            parse(data, EMAIL)
    long = HEAD + b"To: " + b"a@b.c, " * 500_000 + b"\nDate: " + b"(" * 500_000 + b"\n\nx"
    with no_hang():
        assert body(long)[0] == ("paragraph", "x")
    assert body(nested(10))[0] == ("paragraph", "deep")


def test_lines_end_as_they_like():
    mail = message("one\n\n> two\nthree\n", None)
    data = bytes(mail).replace(b"\r\n", b"\n")
    document = parse(data, EMAIL)
    for twin in (data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + data):
        assert parse(twin, EMAIL) == document


PLAIN = st.one_of(
    TEXT, st.lists(st.sampled_from(["> a", ">", ">> b", "", "-- ", "text", "On x, y wrote:", "  z"])).map("\n".join)
)


@settings(max_examples=80, deadline=None)
@given(
    PLAIN,
    st.none() | HTML,
    st.text("aé日 =?_-" + NASTY.replace("\f", ""), max_size=20),
    st.sampled_from(["utf-8", "latin-1", "nope"]),
)
def test_laws(plain, page, subject, charset):
    plain, page = ("".join(char for char in part or "" if char.isprintable() or char == "\n") for part in (plain, page))
    parts = [
        f"--b\nContent-Type: text/{kind}; charset={charset}\n\n{text}\n"
        for kind, text in (("plain", plain), ("html", page))
    ]
    subject = " ".join(subject.split())
    data = f"Subject: {subject}\nContent-Type: multipart/mixed; boundary=b\n\n{''.join(parts)}--b--\n".encode(
        "utf-8", "replace"
    )
    document = parsed(data, EMAIL)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert parsed(data.replace(b"\n", b"\r\n"), EMAIL) == document


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS | st.just(""), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_no_line_is_lost(lines, chance: random.Random):
    lines = [chance.choice(["", "> ", ">> ", "-- "]) + line for line in lines]
    document = parse(HEAD + b"\n" + "\n".join(lines).encode(), EMAIL)
    kept = {line.strip() for line in document.text.split("\n")}
    assert [line for line in lines if line.strip("> \n") and line.strip() not in kept] == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_a_header_are_read_or_refused(data):
    assert_lawful(parsed(b"Subject: x\n" + data, EMAIL))
