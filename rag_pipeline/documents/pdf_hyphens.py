"""Words that a line end divided become whole again, and compounds keep their hyphens.

A hyphen at a line end may belong to the word (``well-known``) or to the line. Only the rest of the document
can tell: `append` puts a mark where it is open, `decide` removes the marks when all the words are known. The
hyphen stays when the document spells the word with it elsewhere, or when both parts are words of the document
and their compound is not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_OPEN, _OPEN_NAME = "\x02", "\x03"  # canonical text has no control characters: marks cannot be taken for text
_WORD_LIMIT = 200  # characters at a line's end in which its last word is looked for
_BROKEN = re.compile(r"[^\W\d_][-\u2010\u00ad]$")
_ATTACHED = re.compile(r"\w[-\u2010]$")
_ADDRESS = re.compile(r"\S+://\S*[/.?=&_-]$")
_PATH = re.compile(r"\S*[/_]$")
_WORD = r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*"
_WORDS = re.compile(_WORD)
_QUESTION = re.compile(rf"({_WORD})([{_OPEN}{_OPEN_NAME}])({_WORD})")


def append(parts: list[str], line: str, *, mono: bool) -> None:
    """Add a line to the lines before it; `mono` says that both sides of the break are in a monospaced type.

    Such type is for names and code, in which a hyphen more likely belongs to the word.
    """
    if not parts or not line:
        parts.append(line)
        return
    text = parts[-1]
    last = text[-_WORD_LIMIT:].rpartition(" ")[2]
    if line[0].islower() and _BROKEN.search(last[-2:]):
        parts[-1] = text[:-1]
        parts += (_OPEN_NAME if mono else _OPEN, line)
    elif last.endswith("\u00ad"):
        parts[-1] = text[:-1]
        parts.append(line)
    elif (_ATTACHED.search(last[-2:]) and line[0].isalnum()) or _ADDRESS.match(last) or (mono and _PATH.match(last)):
        parts.append(line)
    else:
        parts += (" ", line)


def decide(texts: Sequence[str]) -> list[str]:
    """Return the texts without marks: joined, or with the hyphen where it belongs to the word."""
    if not any(_OPEN in text or _OPEN_NAME in text for text in texts):
        return list(texts)
    known = _known(texts)

    def answer(match: re.Match[str]) -> str:
        first, mark, second = match.groups()
        whole, compound = f"{first}{second}".casefold(), f"{first}-{second}".casefold()
        if known[whole] or known[compound]:
            return f"{first}{second}" if known[whole] >= known[compound] else f"{first}-{second}"
        parts = (first.rpartition("-")[2].casefold(), second.partition("-")[0].casefold())
        is_compound = mark == _OPEN_NAME or all(known[part] for part in parts)
        return f"{first}-{second}" if is_compound else f"{first}{second}"

    # Twice, because a word may be divided by two line ends.
    decided = (_QUESTION.sub(answer, _QUESTION.sub(answer, text)) for text in texts)
    return [text.replace(_OPEN, "").replace(_OPEN_NAME, "-") for text in decided]


def _known(texts: Iterable[str]) -> Counter[str]:
    """Count the words and compounds of the document that no line end divides, and the words of compounds."""
    known: Counter[str] = Counter()
    for text in texts:
        for match in _WORDS.finditer(text):
            if not {_OPEN, _OPEN_NAME}.isdisjoint(text[max(0, match.start() - 1) : match.end() + 1]):
                continue
            word = match[0].casefold().replace("\u2010", "-")
            known[word] += 1
            if "-" in word:
                known.update(part for part in word.split("-") if len(part) > 1)
    return known
