"""Office files for tests: made by the libraries that people use, or written part by part where those cannot."""

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rag_pipeline.model import Document
from rag_pipeline_tests.unit.documents.generated import NASTY

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
XML_NASTY = "".join(char for char in NASTY if char >= " ")
MAINS = {"docx": "word/document.xml", "pptx": "ppt/slides/slide1.xml", "xlsx": "xl/worksheets/sheet1.xml"}


class Saveable(Protocol):
    def save(self, target: Any, /) -> Any: ...


def saved(document: Saveable) -> bytes:
    """The bytes of a document of python-docx, python-pptx or openpyxl."""
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def zipped(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    """What is in a zip archive, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """An Office file with one part changed."""
    entries = unzipped(data)
    made = change(entries[part])
    assert made != entries[part]
    return zipped(entries | {part: made})


def relations(**targets: str) -> bytes:
    """The relations of a part by kind; one whose target has a scheme leads out of the file."""
    found = (
        f'<Relationship Id="{kind}" Type="{RELATIONS}/{kind}" Target="{target}"'
        f"{' TargetMode=' + chr(34) + 'External' + chr(34) if ':' in target else ''}/>"
        for kind, target in targets.items()
    )
    name = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'{DECLARATION}<Relationships xmlns="{name}">{"".join(found)}</Relationships>'.encode()


def word(body: str, **parts: str) -> bytes:
    """A document of a word processor out of the XML of its body and of further parts such as styles."""
    entries = {
        "_rels/.rels": relations(officeDocument="word/document.xml"),
        "word/document.xml": f"{DECLARATION}<w:document {W} {NAMESPACES}><w:body>{body}</w:body></w:document>".encode(),
        "word/_rels/document.xml.rels": relations(**{kind: f"{kind}.xml" for kind in parts}),
    }
    return zipped(entries | {f"word/{kind}.xml": f"{DECLARATION}{xml}".encode() for kind, xml in parts.items()})


NAMESPACES = " ".join(
    f'xmlns:{prefix}="{name}"'
    for prefix, name in {
        "r": RELATIONS,
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "v": "urn:schemas-microsoft-com:vml",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    }.items()
)


def shown(document: Document) -> list[tuple[str, int, str]]:
    """Kind, level and text of each block; a heading of the outline by its title."""
    return [
        (block.kind.value, block.level, document.text[block.start : block.end] or f"({block.title})")
        for block in document.blocks
    ]


def texts(document: Document) -> list[str]:
    """The text of each block."""
    return [text for _, _, text in shown(document)]
