"""What a model wrote, read with distrust: citations that point to what it was shown are kept, others are taken out.

A citation is ``[tag-N]`` with the tag of this call and the number of an excerpt. It becomes ``[1]``, ``[2]``, … in
the order in which they first appear. What merely looks like one (``[3]``, ``[doc-7]``, another call's tag) may have
been copied from a document, and becomes ``[?]``. Addresses that it was not shown are taken out, and so are pictures and
the targets of links, which would carry away what a reader must not give away by reading.

What stands in brackets is judged as it reads: digits of any script, raised, ringed or with a stop, are digits, dashes
are hyphens, and marks above or below a sign, Markdown's stress and what is not seen are nothing. So ``[²]``, ``【①】``
and ``[**1**]`` look like ``[1]``. Brackets are square, lenticular or of a tortoise's shape; m² and (1) have none and
are text. What is no citation stays as it is written.

The text may come in pieces, cut anywhere: what is shown does not depend on where.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from rag_pipeline.query.excerpts import Excerpt
from rag_pipeline.query.plain import visible

KEPT_TAG = "cited"
"""The tag in a text that is kept for later: ``[cited-2]`` is a citation of excerpt 2 that was checked."""

_UNKNOWN = "[?]"
_LONGEST = 300
"""Characters between brackets; more are no citation and no link."""
_OPEN, _CLOSE = r"\[【［〔⟦⁅❲〖〘〚⟬⦋⦍⦏⦗﹇﹝︹︻︗", r"\]】］〕⟧⁆❳〗〙〛⟭⦌⦎⦐⦘﹈﹞︺︼︘"
_URL = re.compile(
    r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|(?<![a-zA-Z0-9_:/])//(?=[a-zA-Z0-9-]+\.[a-zA-Z])"
    # Browsers follow these also without the slashes.
    r"|(?<![a-zA-Z0-9_.-])(?i:https?|ftp|wss?|file|blob|data|(?:java|vb)script):)[#-'*-;=?-Z\\^_a-~]+"
)
_TOKEN = re.compile(
    rf"(?P<ticks>`+)"
    rf"|(?P<bang>(?<!!)!*)[{_OPEN}](?P<inside>[^{_OPEN}{_CLOSE}\n]{{0,{_LONGEST}}})[{_CLOSE}](?P<target>\([^()\n]{{0,{_LONGEST}}}\))?"
    rf"|(?P<url>{_URL.pattern})|(?P<lone>[{_CLOSE}])(?=\()"
)
_LEADS_AWAY = re.compile(r"\(\s*<?\s*(?:[/\\]{2}|[a-zA-Z][\w+.-]*:)")
_STAYS = re.compile(r"\([\w.#%?=&+-][\w./#%?=&+-]*\)")
_TICKS, _STRESS = re.compile("`"), re.compile(r"[*`\\]|\b_+|_+\b")
_LOOKS_LIKE_ONE = re.compile(
    r"\^?(?:(?:documents?|docs?|sources?|src|ref(?:erence)?s?|chunks?|cite[ds]?|citations?|passages?|excerpts?|ids?|nr|no)"
    r"[\s:#._-]*)?#?\^?\d{1,5}(?:\s*[,;-]\s*\d{1,5})*|\d{1,5}(?::\d{1,5})?\s*†.*"
    r"|(?=[a-f_:-]*\d)[0-9a-f]{6,64}(?:[-_:][0-9a-f]{1,64})*",
    re.IGNORECASE,
)
_JOINS = re.compile(r".\(|[a-zA-Z0-9+.-][a-zA-Z0-9]", re.DOTALL)
_RUN = "".join(map(chr, range(0x21, 0x7F))) + re.sub(r"\\.", "", _OPEN + _CLOSE)
_RUN_ENDS = re.compile(rf"[^!-~{_OPEN}{_CLOSE}]")
_BRACKETS_END = re.compile(rf"(?P<closed>[{_CLOSE}])|[{_OPEN}\n]")
_TARGET_ENDS = re.compile(r"[()\n]")
_INDEXED = re.compile(r"[\w)\]\"']")
_OPENS_BLOCK = re.compile(r"\s{0,40}`{3,9}[\w+#.-]{0,40}")
_PATIENCE = 16
"""Of what waits, at least one part in so many must be new before it is looked at again."""
_WORD = re.compile(r"\w{3,}")
_CONTEXT = 300
"""Characters before a citation that say what it is for."""


class Reader:
    """Reads one text, piece by piece. `tag` is the call's own; or `KEPT_TAG`, for a text that was kept.

    What it may repeat are addresses of the excerpts, and of the `question`.
    """

    def __init__(self, excerpts: Sequence[Excerpt], tag: str, question: str = "") -> None:
        self._excerpts = {excerpt.number: excerpt for excerpt in excerpts}
        documents = (text for excerpt in excerpts for text in (excerpt.name, excerpt.text))
        self._shown_to_it = "\n".join([question, *documents])
        self._tag = tag
        self._mark = re.compile(rf"\^?(?:documents?\s*)?{re.escape(tag)}-(\d{{1,5}})", re.IGNORECASE)
        self._waiting: list[str] = []
        self._looked_at = self._new = 0
        self._ended = False
        self._code = 0
        self._is_block = False
        self._line = ""
        self._recent = self._last = ""
        self._numbers: dict[int, int] = {}
        self._contexts: dict[int, list[str]] = {}
        self._text: list[str] = []
        self._kept: list[str] = []
        self.unknown = 0
        self.addresses = 0

    def feed(self, piece: str) -> str:
        """Take a piece; return what can be shown now."""
        seen = visible(piece)
        self._waiting.append(seen)
        self._new += len(seen)
        self._ended = self._ended or _RUN_ENDS.search(seen) is not None
        # What waits for long, as a run does that goes on, is not looked at again with every piece.
        return self._read(_settled) if self._ended and self._new * _PATIENCE >= self._looked_at else ""

    def end(self) -> str:
        """Return the rest; there is no more."""
        return self._read(len)

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
        return " ".join(self._contexts[shown])

    def _read(self, up_to: Callable[[str], int]) -> str:
        """Read what is waiting up to a place in it."""
        waiting = "".join(self._waiting)
        end = up_to(waiting)
        ready, self._waiting = waiting[:end], [waiting[end:]]
        self._looked_at, self._new, self._ended = len(waiting) - end, 0, False
        begun, at = len(self._text), 0
        for match in _TOKEN.finditer(ready):
            self._put(ready[at : match.start()])
            shown, kept = self._judged(match)
            at = match.end()
            if match["inside"] is not None:
                # What was in brackets must become neither a part of a word nor the name of a link.
                before = " " if _JOINS.match(self._last + shown[:1]) else ""
                after = " " if _JOINS.match((shown[-1:] or self._last) + ready[at : at + 1]) else ""
                shown, kept = f"{before}{shown}{after}", f"{before}{kept}{after}"
                self._put(shown, kept, said=False)
                for ticks in re.findall("`+", shown):
                    self._tick(len(ticks))
            else:
                self._put(shown)
        self._put(ready[at:])
        return "".join(self._text[begun:])

    def _put(self, shown: str, kept: str | None = None, *, said: bool = True) -> None:
        """Write down what is shown, and what is kept for it, if that is not the same."""
        line, ended, _ = shown.partition("\n")
        if ended and self._code and not self._is_block:
            # What never closes must not make code of all that follows: only a block goes on behind its line.
            self._is_block = _OPENS_BLOCK.fullmatch(self._line + line) is not None
            self._code = self._code if self._is_block else 0
        self._line = (shown.rpartition("\n")[2] if ended else self._line + shown)[:_CONTEXT]
        self._text.append(shown)
        self._kept.append(shown if kept is None else kept)
        self._last = shown[-1:] or self._last
        if said:
            self._recent = (self._recent + shown)[-_CONTEXT:]

    def _judged(self, match: re.Match[str]) -> tuple[str, str]:
        """Return what is shown, and what is kept, in place of a token."""
        if ticks := match["ticks"]:
            self._tick(len(ticks))
            return ticks, ticks
        if match["lone"]:
            return f"{match['lone']} ", f"{match['lone']} "
        if match["url"]:
            address = self._address(match["url"])
            return address, address
        inside = _as_read(match["inside"], in_code=self._code > 0)
        if numbers := self._marks(inside):
            shown, kept = "".join(map(self._cite, numbers)), "".join(map(self._keep, numbers))
            return match["bang"] + shown, match["bang"] + kept
        # The tag of what is kept means something later, also where it stands in code.
        tagged = any(f"{tag}-" in inside.lower() for tag in (self._tag, KEPT_TAG))
        if tagged or (_LOOKS_LIKE_ONE.fullmatch(inside) and not self._is_code(inside)):
            self.unknown += 1
            return match["bang"] + _UNKNOWN, match["bang"] + _UNKNOWN
        text = self._link(match)
        return text, text

    def _tick(self, number: int) -> None:
        """Begin or end code at so many backticks."""
        if self._code in (0, number):
            self._code, self._is_block = 0 if self._code else number, False

    def _is_code(self, inside: str) -> bool:
        """Tell whether brackets stand in code and mean something there: an index, or numbers that cite nothing."""
        if not self._code or not re.fullmatch(r"[\d\s,;^#-]+", inside):
            return self._code > 0
        return bool(_INDEXED.match(self._last)) or not any(
            int(number) in self._excerpts for number in re.findall(r"\d+", inside)
        )

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
        self._contexts.setdefault(shown, []).append(self._recent)
        return f"[{shown}]"

    def _keep(self, number: int) -> str:
        return f"[{KEPT_TAG}-{number}]" if number in self._excerpts else _UNKNOWN

    def _link(self, match: re.Match[str]) -> str:
        """Return brackets that are no citation: as they are, but no picture, and no link that leads away."""
        target, words = match["target"] or "", _URL.sub(self._bare, match["inside"])
        if (match["bang"] and target) or _LEADS_AWAY.match(target):
            if not match["bang"] and target[1:-1] in self._shown_to_it:
                return f"{words} {target}"
            self.addresses += 1
            return words
        opening = match[0][: match.start("inside") - match.start()]
        closing = match[0][match.end("inside") - match.start()]
        if target and not _STAYS.fullmatch(target):
            target = f" {_URL.sub(self._bare, target)}"
        return f"{opening}{words}{closing}{target}"

    def _bare(self, match: re.Match[str]) -> str:
        return self._address(match[0])

    def _address(self, url: str) -> str:
        """Return an address that the documents have; of any other only what follows it."""
        bare = url.rstrip(".,;:!?)>]}'\"*_`")
        if bare in self._shown_to_it:
            return url
        self.addresses += 1
        return "…" + url[len(bare) :]


def _as_read(inside: str, *, in_code: bool) -> str:
    """Return what stands in brackets in the plainest signs that read the same; in code stress is none."""
    if not inside.isascii():
        inside = unicodedata.normalize("NFKD", "".join(map(_plainest, inside)))
        inside = "".join(char for char in inside if unicodedata.category(char) not in ("Mn", "Me", "Cf"))
    return (_TICKS if in_code else _STRESS).sub("", inside).strip()


def _plainest(char: str) -> str:
    """Return a dash as a hyphen, a whole number as its digits, the blank of Braille as a blank."""
    category, number = unicodedata.category(char), unicodedata.numeric(char, -1)
    if category in ("Nd", "No") and number == int(number) >= 0:
        return str(int(number))
    return "-" if category == "Pd" or char == "\u2212" else " " if char == "\u2800" else char


def _settled(text: str) -> int:
    """Return up to where nothing that comes can change what is meant: not into a word, a bracket or a link."""
    settled = _run_before(text, len(text))
    for opening in reversed(list(re.finditer(f"[{_OPEN}]", text))):
        if opening.start() < settled:
            end = _token_end(text, opening.end())
            if end is None or end > settled:
                settled = _run_before(text, opening.start())
    return settled


def _run_before(text: str, end: int) -> int:
    """Return where the run of ASCII characters and brackets, blanks apart, begins that ends there."""
    return len(text[:end].rstrip(_RUN))


def _token_end(text: str, start: int) -> int | None:
    """Return the place behind the brackets that open before `start`, and behind their target.

    It is `start` where they are none, and None while that may still change.
    """
    found = _BRACKETS_END.search(text, start, start + _LONGEST + 1)
    if found is None:
        return start if len(text) - start > _LONGEST else None
    if not found["closed"]:
        return start
    end = found.end()
    if text[end : end + 1] != "(":
        return end
    found = _TARGET_ENDS.search(text, end + 1, end + 1 + _LONGEST + 1)
    if found is None:
        return end if len(text) - end - 1 > _LONGEST else None
    return found.end() if found[0] == ")" else end


def best_hit(excerpt: Excerpt, context: str) -> int:
    """Return which of an excerpt's hits has most of the words before its citations; the first of equals."""
    words = set(_WORD.findall(context.lower()))
    shared = [len(words & set(_WORD.findall(hit.text.lower()))) for hit in excerpt.hits]
    return max(range(len(shared)), key=lambda place: (shared[place], -place))
