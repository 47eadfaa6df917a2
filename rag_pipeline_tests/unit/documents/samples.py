"""A document of every kind, of any size, as the usual programs write it: for laws, hostile tests and benchmarks."""

import io
import json
import random
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from rag_pipeline.sources import media_types as types
from rag_pipeline.sources.ticket import Comment, Ticket

_TEXT = (
    "archive backup cache deploy error folder gateway host index journal key listing mirror node owner page queue "
    "replica schema token update vector worker access by in of on the to with is was never always each small large"
)
_WORDS = _TEXT.split()


def sentences(number: int) -> str:
    """A paragraph of about forty words, the same for the same number."""
    words = random.Random(number)
    return " ".join(f"In the {' '.join(words.choices(_WORDS, k=words.randint(5, 12)))}." for _ in range(4))


def markdown(size: int) -> bytes:
    parts = [f"## Part {number}\n\n{sentences(number)}\n\n- {sentences(-number)}" for number in range(1, size + 1)]
    return "\n\n".join(["# Manual", *parts]).encode()


def html(size: int) -> bytes:
    parts = [f"<h2>Part {number}</h2><p>{sentences(number)}</p><ul><li>x</ul>" for number in range(1, size + 1)]
    return f"<!doctype html><nav>menu</nav><main><h1>Manual</h1>{''.join(parts)}</main>".encode()


def text(size: int) -> bytes:
    return "\n\n".join(map(sentences, range(size))).encode()


def rst(size: int) -> bytes:
    parts = [
        f"Part {number}\n---------\n\n{sentences(number)}\n\n* {sentences(-number)}" for number in range(1, size + 1)
    ]
    return "\n\n".join(["Manual\n======", *parts]).encode()


def python(size: int) -> bytes:
    return "\n\n".join(
        f'def part_{number}(value: int) -> int:\n    """{sentences(number)[:80]}"""\n'
        f"    if value > {number}:\n        return part_{number}(value - 1)\n    return value * {number}\n"
        for number in range(size)
    ).encode()


def csv(size: int) -> bytes:
    rows = [f'{number},"{sentences(number)}",{number * 7 % 100}' for number in range(size)]
    return "\n".join(["number,what,score", *rows]).encode()


def tsv(size: int) -> bytes:
    return csv(size).replace(b'"', b"").replace(b",", b"\t")


def notebook(size: int) -> bytes:
    cells: list[dict[str, Any]] = []
    for number in range(size):
        output = {"output_type": "stream", "name": "stdout", "text": [f"{number}\n"]}
        cells += [
            {"cell_type": "markdown", "metadata": {}, "source": [f"## Part {number}\n", "\n", sentences(number)]},
            {
                "cell_type": "code",
                "execution_count": 1,
                "metadata": {},
                "outputs": [output],
                "source": f"print({number})",
            },
        ]
    about = {"kernelspec": {"language": "python", "name": "python3"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": cells}, indent=1).encode()


def email(size: int) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "Ada <ada@example.com>", "list@example.com"
    message["Subject"], message["Date"] = "Backups", "Mon, 02 Mar 2026 10:00:00 +0000"
    message.set_content(text(size).decode() + "\n\n> " + sentences(-1))
    return bytes(message)


def _clock(seconds: int, mark: str) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}000"


def vtt(size: int) -> bytes:
    cues = [
        f"{_clock(9 * number, '.')} --> {_clock(9 * number + 8, '.')}\n<v {'AB'[number % 2]}>{sentences(number)}"
        for number in range(size)
    ]
    return "\n\n".join(["WEBVTT", *cues]).encode()


def srt(size: int) -> bytes:
    return "\n\n".join(
        f"{number + 1}\n{_clock(9 * number, ',')} --> {_clock(9 * number + 8, ',')}\n{sentences(number)}"
        for number in range(size)
    ).encode()


def turns(size: int) -> bytes:
    return "\n".join(f"{('Ada', 'Bob')[number % 2]}: {sentences(number)}" for number in range(size)).encode()


def ticket(size: int) -> bytes:
    comments = tuple(Comment("ada", "2026-03-02T10:00:00+00:00", sentences(number)) for number in range(size))
    return Ticket("Backups fail", sentences(-1), "open", ("bug",), "bob", comments=comments).to_bytes()


def docx(size: int) -> bytes:
    from docx import Document

    made = Document()
    made.add_heading("Manual", 1)
    for number in range(size):
        made.add_heading(f"Part {number}", 2)
        made.add_paragraph(sentences(number))
        made.add_paragraph("x", style="List Bullet")
    return _saved(made.save)


def pptx(size: int) -> bytes:
    from pptx import Presentation

    made = Presentation()
    for number in range(size):
        title, body = list[Any](made.slides.add_slide(made.slide_layouts[1]).placeholders)[:2]
        title.text, body.text = f"Slide {number}", sentences(number)
    return _saved(made.save)


def xlsx(size: int) -> bytes:
    from openpyxl import Workbook

    made = Workbook(write_only=True)
    sheet = made.create_sheet("Scores")
    sheet.append(["number", "what", "score"])
    for number in range(size):
        sheet.append([number, sentences(number), number * 7 % 100])
    return _saved(made.save)


def _saved(save: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def pdf(size: int) -> bytes:
    """Pages of three paragraphs each, below a heading in a larger type."""
    return pdf_file([_page(range(first, min(first + 3, size))) for first in range(0, size, 3)])


def _page(numbers: range) -> bytes:
    drawn, height = [], 760
    for number in numbers:
        drawn.append(f"BT /F1 18 Tf 60 {height} Td (Part {number}) Tj ET")
        height -= 30
        words = sentences(number).split()
        for first in range(0, len(words), 12):
            drawn.append(f"BT /F1 10 Tf 60 {height} Td ({' '.join(words[first : first + 12])}) Tj ET")
            height -= 13
        height -= 20
    return "\n".join(drawn).encode()


def illustrated_pdf(size: int, height: int) -> bytes:
    """The same, with a picture on its first page that takes ``600 * height`` bytes: what makes real PDFs large."""
    pages = [_page(range(first, min(first + 3, size))) for first in range(0, size, 3)]
    pages[0] += b"\nq 300 0 0 200 60 20 cm /Im1 Do Q"
    return pdf_file(pages, picture=random.Random(size).randbytes(600 * height))


def pdf_file(
    pages: list[bytes],
    filters: bytes = b"",
    trailer: bytes = b"",
    kids: bytes | None = None,
    picture: bytes = bytes(600),
) -> bytes:
    """Write a PDF whose pages have these content streams, which `filters` says how to read."""
    numbers = range(5, 5 + 2 * len(pages), 2)
    listed = kids if kids is not None else b" ".join(b"%d 0 R" % number for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(pages), listed),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /XObject /Subtype /Image /Width 200 /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8 "
        b"/Length %d >>\nstream\n%b\nendstream" % (len(picture) // 600, len(picture), picture),
    ]
    for number, content in zip(numbers, pages, strict=True):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> /XObject << /Im1 4 0 R >> >> >>" % (number + 1),
            b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), filters, content),
        ]
    file = io.BytesIO()
    file.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places: list[int] = []
    for number, content in enumerate(objects, start=1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))
    return file.getvalue()


SAMPLES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "markdown": (types.MARKDOWN, markdown),
    "text": (types.TEXT, text),
    "source": (types.SOURCE, text),
    "html": (types.HTML, html),
    "rst": (types.RST, rst),
    "python": ("text/x-python", python),
    "csv": (types.CSV, csv),
    "tsv": (types.TSV, tsv),
    "notebook": (types.NOTEBOOK, notebook),
    "email": (types.EMAIL, email),
    "vtt": (types.VTT, vtt),
    "srt": (types.SRT, srt),
    "turns": (types.TRANSCRIPT, turns),
    "ticket": (types.TICKET, ticket),
    "docx": (types.DOCX, docx),
    "pptx": (types.PPTX, pptx),
    "xlsx": (types.XLSX, xlsx),
    "pdf": (types.PDF, pdf),
}
"""Kind and maker by name; the size is a number of parts: paragraphs, functions, rows, cues, slides."""

LINES = ("markdown", "text", "source", "html", "rst", "python", "csv", "tsv", "notebook", "vtt", "srt", "turns")
"""Those whose line ends and byte order mark mean nothing."""
