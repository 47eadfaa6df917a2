"""What a model wrote, read with distrust: citations that point to what it was shown are kept, others are taken out.

A citation is ``[tag-N]`` with the tag of this call and the number of an excerpt. It becomes ``[1]``, ``[2]``, … in
the order in which they first appear. What merely looks like one (``[3]``, ``[doc-7]``, another call's tag) may have
been copied from a document, and becomes ``[?]``. Addresses that stand in no excerpt are taken out, and so are pictures
and the targets of links, which would carry away what a reader must not give away by reading.

The text may come in pieces, cut anywhere: what is shown does not depend on where.
"""

import re
from collections.abc import Sequence

from rag_pipeline.query.excerpts import Excerpt
from rag_pipeline.query.plain import visible

KEPT_TAG = "cited"
"""The tag in a text that is kept for later: ``[cited-2]`` is a citation of excerpt 2 that was checked."""

_UNKNOWN = "[?]"
_LONGEST = 300
"""Characters between brackets; more are no citation and no link."""
_OPEN, _CLOSE = r"\[【［〔⟦", r"\]】］〕⟧"
_TOKEN = re.compile(
    rf"(?P<ticks>`+)"
    rf"|(?P<bang>!?)[{_OPEN}](?P<inside>[^{_OPEN}{_CLOSE}\n]{{0,{_LONGEST}}})[{_CLOSE}](?P<target>\([!-'*-~]{{0,500}}\))?"
    rf"|(?P<url>[a-zA-Z][a-zA-Z0-9+.-]{{1,20}}://[!-~]+)"
)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[!-~]+")
_LOOKS_LIKE_ONE = re.compile(
    r"\^?(?:(?:documents?|docs?|sources?|src|ref(?:erence)?s?|chunks?|cite[ds]?|citations?|passages?|excerpts?|ids?|nr|no)"
    r"[\s:#._-]*)?#?\^?\d{1,5}(?:\s*[,;\u2013-]\s*\d{1,5})*|[0-9a-f]{6,64}(?:[-_:][0-9a-f]{1,64})*",
    re.IGNORECASE,
)
_JOINERS = re.compile("[\u200c\u200d\ufe0f]")
_RUN = re.compile("[!-~]*$")
_WORD = re.compile(r"\w{3,}")
_CONTEXT = 300
"""Characters before a citation that say what it is for."""


class Reader:
    """Reads one text, piece by piece. `tag` is the call's own; or `KEPT_TAG`, for a text that was kept."""

    def __init__(self, excerpts: Sequence[Excerpt], tag: str) -> None:
        self._excerpts = {excerpt.number: excerpt for excerpt in excerpts}
        self._shown_to_it = "\n".join(text for excerpt in excerpts for text in (excerpt.name, excerpt.text))
        self._tag = tag
        self._mark = re.compile(rf"\^?(?:documents?\s*)?{re.escape(tag)}-(\d{{1,5}})", re.IGNORECASE)
        self._waiting = ""
        self._code = 0
        self._recent = ""
        self._numbers: dict[int, int] = {}
        self._contexts: dict[int, str] = {}
        self._text: list[str] = []
        self._kept: list[str] = []
        self.unknown = 0
        self.addresses = 0

    def feed(self, piece: str) -> str:
        """Take a piece; return what can be shown now."""
        self._waiting += visible(piece)
        return self._read(self._settled())

    def end(self) -> str:
        """Return the rest; there is no more."""
        return self._read(len(self._waiting))

    @property
    def text(self) -> str:
        """All that was shown."""
        return "".join(self._text)

    @property
    def kept(self) -> str:
        """The same, with its citations as a later call can read them: by a reader of `KEPT_TAG`."""
        return "".join(self._kept)

    @property
    def cited(self) -> dict[int, Excerpt]:
        """The excerpts that are cited, by the number that the text has for each."""
        return {shown: self._excerpts[number] for number, shown in self._numbers.items()}

    def context(self, shown: int) -> str:
        """Return what the text says where it cites a number."""
        return self._contexts[shown]

    def _settled(self) -> int:
        """Return up to where nothing that comes can change what is meant: not into a word, a link or a bracket."""
        text = self._waiting
        run = _RUN.search(text)
        settled = run.start() if run else len(text)
        for opening in re.finditer(rf"!?[{_OPEN}]", text):
            inside = text[opening.end() :]
            closing = re.search(rf"[{_OPEN}{_CLOSE}\n]", inside)
            if closing is None and len(inside) <= _LONGEST:
                return min(settled, opening.start())
            if closing is not None and opening.end() + closing.end() > settled:
                return min(settled, opening.start())
        return settled

    def _read(self, end: int) -> str:
        """Read what is waiting up to `end`."""
        ready, self._waiting = self._waiting[:end], self._waiting[end:]
        shown, kept, at = [], [], 0
        for match in _TOKEN.finditer(ready):
            between = ready[at : match.start()]
            self._note(between)
            as_shown, as_kept = self._judged(match)
            shown += [between, as_shown]
            kept += [between, as_kept]
            at = match.end()
        self._note(ready[at:])
        text = "".join([*shown, ready[at:]])
        self._text.append(text)
        self._kept.append("".join([*kept, ready[at:]]))
        return text

    def _judged(self, match: re.Match[str]) -> tuple[str, str]:
        """Return what is shown, and what is kept, in place of a token."""
        if ticks := match["ticks"]:
            if self._code in (0, len(ticks)):
                self._code = 0 if self._code else len(ticks)
            return ticks, ticks
        if match["url"]:
            address = self._address(match["url"])
            return address, address
        inside = _JOINERS.sub("", match["inside"]).strip()
        if numbers := self._marks(inside):
            return "".join(map(self._cite, numbers)), "".join(map(self._keep, numbers))
        if self._tag.lower() in inside.lower() or (_LOOKS_LIKE_ONE.fullmatch(inside) and not self._code):
            self.unknown += 1
            return _UNKNOWN, _UNKNOWN
        text = self._link(match, inside)
        return text, text

    def _marks(self, inside: str) -> list[int]:
        """Return the numbers that brackets cite, when they hold nothing but marks of this call."""
        found: list[int] = []
        for part in re.split(r"\s*[,;]\s*|\s+(?!\d)", inside):
            mark = self._mark.fullmatch(part)
            # After a whole mark its number alone may stand for another: [tag-1, 2].
            number = mark[1] if mark else part if found and re.fullmatch(r"\d{1,5}", part) else None
            if number is None:
                return []
            found.append(int(number))
        return found

    def _cite(self, number: int) -> str:
        if number not in self._excerpts:
            self.unknown += 1
            return _UNKNOWN
        shown = self._numbers.setdefault(number, len(self._numbers) + 1)
        self._contexts[shown] = f"{self._contexts.get(shown, '')} {self._recent}".strip()
        return f"[{shown}]"

    def _keep(self, number: int) -> str:
        return f"[{KEPT_TAG}-{number}]" if number in self._excerpts else _UNKNOWN

    def _link(self, match: re.Match[str], inside: str) -> str:
        """Return brackets that are no citation: as they are, without a picture, or with a known target behind them."""
        target = match["target"] or ""
        if self._code:
            return match[0]
        if match["bang"] or "://" in target or target.lower().startswith(("(//", "(data:", "(javascript:", "(mailto:")):
            known = not match["bang"] and target[1:-1] in self._shown_to_it
            self.addresses += not known
            return f"{_URL.sub(self._bare, inside)} {target}" if known else _URL.sub(self._bare, inside)
        opening, closing = match[0][0], match[0][len(match[0]) - len(target) - 1]
        return f"{opening}{_URL.sub(self._bare, match['inside'])}{closing}{target}"

    def _bare(self, match: re.Match[str]) -> str:
        return self._address(match[0])

    def _address(self, url: str) -> str:
        """Return an address that the documents have; of any other only what follows it."""
        bare = url.rstrip(".,;:!?)>]}'\"*_`")
        if bare in self._shown_to_it:
            return url
        self.addresses += 1
        return "…" + url[len(bare) :]

    def _note(self, text: str) -> None:
        self._recent = (self._recent + text)[-_CONTEXT:]


def best_hit(excerpt: Excerpt, context: str) -> int:
    """Return which of an excerpt's hits has most of the words before its citations; the first of equals."""
    words = set(_WORD.findall(context.lower()))
    shared = [len(words & set(_WORD.findall(hit.text.lower()))) for hit in excerpt.hits]
    return max(range(len(shared)), key=lambda place: (shared[place], -place))
