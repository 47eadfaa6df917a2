"""PDF becomes blocks by PDFium: lines in reading order, headings from the outline or from the type.

Promises: every word that can be seen on a page is in exactly one block, save running headers, footers, page
numbers and lists of contents; every block names its pages. What a page sets where it fits (notes at its foot,
tables at its edge) interrupts no sentence. Nothing is half read: a file that is cut off, locked or damaged, or
that has no text at all, is refused with the reason. One page's characters are held at a time.

Not read: text in pictures, the values of form fields, annotations. Tables are tables where lines are drawn
between their columns and rows; others keep their rows as lines.
"""

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.pdf_contents import Contents, key, without_contents
from rag_pipeline.documents.pdf_floats import Floats
from rag_pipeline.documents.pdf_furniture import Sheet, without_furniture
from rag_pipeline.documents.pdf_headings import body_size, mark_headings
from rag_pipeline.documents.pdf_hyphens import decide
from rag_pipeline.documents.pdf_layout import columns
from rag_pipeline.documents.pdf_notes import Notes
from rag_pipeline.documents.pdf_outline import Entry, outline
from rag_pipeline.documents.pdf_page import read_page
from rag_pipeline.documents.pdf_paragraphs import Paragraphs
from rag_pipeline.documents.pdf_pieces import Piece
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Block, BlockKind, Document, Place

MAX_PAGES = 20_000
MAX_CHARACTERS = 50_000_000
"""Of all pages together."""

_TAIL = 1_024  # bytes at the end in which every reader looks for the end mark
_MOST_CODE = 0.7  # of the characters: then the whole document is set in monospaced type
_MAX_TITLE = 300
_NO_TITLE = re.compile(
    r"(?:untitled.*|.*\.(?:docx?|pptx?|xlsx?|odt|indd|tex|dvi|pdf|rtf|html?|txt|ps)|microsoft word - .*"
    r"|(?:title|document|presentation|slide|unknown|none)\s*\d*|(?=\S*[\d_])\S+|[\W\d_]*)",
    re.IGNORECASE | re.DOTALL,
)


def parse(data: bytes) -> Document:
    """Parse a PDF; the title is the declared one if it says something, else the largest words of its first pages.

    Raises `DocumentError`; its reason begins with ``password_required`` or ``no_text_layer`` where that is it.
    """
    document = _opened(data)
    try:
        entries = outline(document)
        blank: list[int] = []
        pieces = _pieces(document, entries, blank, mono_is_code=True)
        if _code_share(pieces) > _MOST_CODE:
            pieces = _pieces(document, entries, [], mono_is_code=False)
        declared = {name.lower(): _line(document.get_metadata_value(name)) for name in ("Title", "Author")}
        pages = len(document)
    finally:
        document.close()
    if not pieces:
        raise DocumentError("no_text_layer: its pages are pictures or empty; recognise the characters, then offer it")
    return _written(pieces, declared, pages, blank)


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    if b"%%EOF" not in data.rstrip(b"\0\t\n\r ")[-_TAIL:]:
        raise DocumentError("truncated: the end mark of a PDF is missing; fetch the file again")
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if pdfium.FPDF_GetLastError() in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise DocumentError("password_required: the PDF is encrypted; offer a copy without a password") from error
        raise DocumentError("damaged: it cannot be opened as a PDF; repair the file or print it anew") from error
    pages = len(document)
    if 1 <= pages <= MAX_PAGES:
        return document
    document.close()
    if pages < 1:
        raise DocumentError("damaged: the PDF has no pages; repair the file or print it anew")
    raise DocumentError(f"has {pages} pages, more than {MAX_PAGES}; split it")


def _pieces(document: Any, entries: dict[int, list[Entry]], blank: list[int], *, mono_is_code: bool) -> list[Piece]:
    """Read all pages; the numbers of those without text are added to `blank`."""
    paragraphs, notes, floats = Paragraphs(mono_is_code=mono_is_code), Notes(), Floats()
    contents = Contents({key(entry.title) for page in entries.values() for entry in page})
    sheets = (notes.without(sheet) for sheet in without_furniture(_sheets(document, blank), len(document)))
    for sheet, following in _with_next(sheets):
        headings = entries.get(sheet.number, [])
        text = floats.without(sheet, following, [entry.title for entry in headings])
        floats.found(paragraphs.add(text, headings, contents.listed(text)))
    pieces = paragraphs.finish()
    if not entries:
        mark_headings(pieces)
    pieces = without_contents(floats.placed(pieces, mono_is_code=mono_is_code))
    pieces = notes.placed(pieces, mono_is_code=mono_is_code)
    return [piece for piece in pieces if piece.title or piece.text.strip()]


def _with_next(sheets: Iterator[Sheet]) -> Iterator[tuple[Sheet, Sheet | None]]:
    """Yield each sheet with the one after it."""
    sheet = next(sheets, None)
    while sheet is not None:
        following = next(sheets, None)
        yield sheet, following
        sheet = following


def _sheets(document: Any, blank: list[int]) -> Iterator[Sheet]:
    characters = 0
    for number in range(1, len(document) + 1):
        page = read_page(document, number)
        characters += sum(len(word.text) for word in page.words)
        if characters > MAX_CHARACTERS:
            raise DocumentError(f"holds more than {MAX_CHARACTERS} characters; split it")
        if not page.words:
            blank.append(number)
        yield Sheet(number, page.box, columns(page), page.across)


def _code_share(pieces: list[Piece]) -> float:
    code = sum(len(piece.text) for piece in pieces if piece.kind is BlockKind.CODE)
    return code / max(1, sum(len(piece.text) for piece in pieces))


def _written(pieces: list[Piece], declared: dict[str, str], pages: int, blank: list[int]) -> Document:
    texts = [text.rstrip() for text in decide([piece.text for piece in pieces])]
    gaps = [0, *(_gap(one, other) for one, other in pairwise(pieces))]
    lengths = (gap + len(text) for gap, text in zip(gaps, texts, strict=True))
    blocks = [
        _block(piece, text, end - len(text))
        for piece, text, end in zip(pieces, texts, accumulate(lengths), strict=True)
    ]
    metadata: dict[str, Any] = {"pages": pages}
    if _says_something(declared["title"]):
        metadata["title"] = declared["title"]
    if declared["author"]:
        metadata["author"] = declared["author"]
    if blank:
        metadata["pages_without_text"] = blank
    text = "".join("\n" * gap + text for gap, text in zip(gaps, texts, strict=True))
    return Document(text, tuple(blocks), metadata.get("title") or _title(pieces, blocks, text), metadata)


def _gap(one: Piece, other: Piece) -> int:
    """Line ends between two pieces; a heading without text stands where the next one begins."""
    if not one.parts:
        return 0
    return 1 if one.kind is other.kind is BlockKind.LIST_ITEM else 2


def _block(piece: Piece, text: str, start: int) -> Block:
    header_end = start + (text.find("\n") if "\n" in text else len(text)) if piece.kind is BlockKind.TABLE else None
    title = _line(text if piece.title == piece.text else piece.title) if piece.kind is BlockKind.HEADING else ""
    return Block(piece.kind, start, start + len(text), piece.level, title, header_end, place=Place(pages=piece.pages))


def _line(text: str) -> str:
    return " ".join(clean(text).split())[:_MAX_TITLE]


def _says_something(title: str) -> bool:
    return not _NO_TITLE.fullmatch(title)


def _title(pieces: list[Piece], blocks: list[Block], text: str) -> str:
    """The largest short text of the first page, where it is larger than the body, else the first heading."""
    body = body_size(pieces)
    first = pieces[0].pages[0] if pieces else 0
    large = [
        (piece.size, -index)
        for index, piece in enumerate(pieces)
        if piece.pages[0] == first and piece.size > 1.2 * body and len(piece.text) <= _MAX_TITLE
    ]
    if large:
        block = blocks[-max(large)[1]]
        return _line(text[block.start : block.end])
    return next((block.title for block in blocks if block.title), "")
