"""HTML becomes what a reader of the page would see: `<main>` or the article, without navigation and hidden elements.

Promises: scripts, styles, comments, navigation, page headers and footers, asides, forms, cookie banners and
elements hidden by attribute or inline style are left out (style sheets are not evaluated); time grows with
size, however the markup is broken or nested. Markup that never ends, and what follows it, is dropped, as
browsers do. A page of which the rules leave nothing raises instead of passing for empty.
"""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from rag_pipeline.documents.canonical import canonical
from rag_pipeline.documents.html_text import PageText, names
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_REST_OF_TAG = r"""(?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+|["'])*+>"""
_MARKUP = re.compile(
    rf"<!--(?:-?>|.*?--!?>)|(?P<tag><(?:(?P<raw>script|style)(?=[\s/>])|/?[a-z]){_REST_OF_TAG})|<[!?/][^>]*>",
    re.DOTALL | re.IGNORECASE,
)
_MARKUP_START = re.compile("[a-zA-Z!?/]")
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}

_DROPPED = names(
    "title script style template noscript svg math nav aside footer iframe object embed canvas audio video map"
    " form input textarea select option datalist button dialog noframes noembed"
)
_MAINS = names("main article")
_DROPPED_ROLES = names(
    "navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar tablist"
)
_COOKIE_BANNER = re.compile(
    r"\bcookie[-_]?(?:banner|bar|consent|notice|popup|dialog|overlay)|\bonetrust-", re.IGNORECASE
)
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|font-size:0(?![.\d]*[1-9])|opacity:0(?![.\d]*[1-9])", re.IGNORECASE
)
_CSS_NOISE = re.compile(r"/\*.*?\*/|\s+", re.DOTALL)


def parse(data: bytes) -> Document:
    """Parse a page; the title is its first H1, else its `<title>`, else its first heading. Raises `DocumentError`."""
    charset = _CHARSET.search(data[:2048])
    markup = _closed(canonical(data, charset[1].decode("ascii") if charset else None))
    soup = BeautifulSoup(f"<body>{markup}</body>", "html.parser")
    page = PageText()
    _write(_main(soup), page)
    text, blocks = page.finish()
    if not blocks and any(_is_text(node) and node.strip() and node.parent is not soup.title for node in soup.strings):
        raise DocumentError("only navigation, forms or hidden text, nothing to index; exclude it, or mark its <main>")
    headings = [block for block in blocks if block.kind is BlockKind.HEADING]
    top = next((block.title for block in headings if block.level == 1), "")
    title = "" if top or not soup.title else " ".join(soup.title.get_text().split())
    return Document(text, blocks, top or title or (headings[0].title if headings else ""))


def _closed(markup: str) -> str:
    """Keep text and tags that end; leave out comments, declarations, scripts, styles, and what follows unending markup.

    Spares the parser the constructs on which it is quadratic.
    """
    kept: list[str] = []
    position = 0
    while (start := markup.find("<", position)) >= 0:
        kept.append(markup[position:start])
        if not _MARKUP_START.match(markup, start + 1):
            kept.append("&lt;")
            position = start + 1
            continue
        token = _MARKUP.match(markup, start)
        if token is None:
            return "".join(kept)
        position = token.end()
        if token["raw"]:
            end = _RAW_END[token["raw"].lower()].search(markup, position)
            position = end.start() if end else len(markup)
        elif token["tag"]:
            kept.append(token["tag"])
    kept.append(markup[position:])
    return "".join(kept)


def _main(soup: BeautifulSoup) -> Tag:
    """The element that holds the page's own content: main, else a single article, else everything."""
    found = [tag for tag in soup.find_all(_may_be_main) if not _dropped(tag, within=True)]
    mains = [tag for tag in found if tag.name != "article"]
    return mains[0] if mains else found[0] if len(found) == 1 else soup


def _may_be_main(tag: Tag) -> bool:
    return tag.name in _MAINS or tag.get("role") == "main"


def _write(root: Tag, page: PageText) -> None:
    """Write the visible part of the tree; without recursion, for pages may nest as deep as they are long.

    Forms are dropped, save a first one that holds the page's content, as on pages that are one form.
    """
    form = root.find("form")
    if isinstance(form, Tag) and form.find(["main", "article", "h1"]) is None:
        form = None
    page.open(root)
    path: list[tuple[Tag, Iterator[object]]] = [(root, iter(root.contents))]
    mains = int(root.name != "[document]")
    while path:
        parent, children = path[-1]
        child = next(children, None)
        if child is None:
            page.close(parent)
            path.pop()
            mains -= parent.name in _MAINS
        elif isinstance(child, Tag):
            if child is form or not _dropped(child, within=mains > 0):
                page.open(child)
                path.append((child, iter(child.contents)))
                mains += child.name in _MAINS
        elif _is_text(child):
            page.text(str(child))


def _is_text(node: object) -> bool:
    return type(node) is NavigableString


def _dropped(tag: Tag, within: bool) -> bool:
    """Whether an element is boilerplate or hidden; a header `within` the main content holds its heading, and stays."""
    if tag.name in _DROPPED or (tag.name == "header" and not within):
        return True
    if not tag.attrs:
        return False
    style = _CSS_NOISE.sub("", str(tag.get("style", "")))
    marks = f"{tag.get('id', '')} {tag.get('class', '')}"
    return (
        "hidden" in tag.attrs
        or str(tag.get("aria-hidden", "")).strip().lower() == "true"
        or str(tag.get("role", "")).strip().lower() in _DROPPED_ROLES
        or _HIDDEN_STYLE.search(style) is not None
        or _COOKIE_BANNER.search(marks) is not None
    )
