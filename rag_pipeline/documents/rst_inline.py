"""The markup inside a paragraph of reStructuredText is taken off; what a reader of the page would see stays.

Promises: linear time; no role or target is looked up, so that unknown ones lose nothing: a role gives its
text, a reference its name, a footnote its number in brackets. What is no complete markup stays as written.
"""

import re

_MARKUP = re.compile(
    r"``(?P<literal>(?:[^`]|`(?!`))+)``"
    r"|(?P<role>:[\w.:+-]{1,60}:)?_?`(?P<text>[^`\s](?:[^`]*[^`\s])?)`(?P<suffix>:[\w.:+-]{1,60}:|__?(?![^\W_]))?"
    r"|(?<![\w*\\])\*\*(?P<strong>[^*\s\\](?:(?:[^*\\]|\\.)*[^*\s\\])?)\*\*(?!\w)"
    r"|(?<![\w*\\])\*(?P<emphasis>[^*\s\\](?:(?:[^*\\]|\\.)*[^*\s\\])?)\*(?![\w*])"
    r"|\[(?P<footnote>[\w#*.:+-]{1,80})\]_(?!\w)"
    r"|(?<![\w.:+-])(?P<name>[^\W_]++(?:[-._+:][^\W_]++)*)__?(?!\w)"
    r"|\\(?P<escaped>[^\w\s])|\\\s"
)
_QUICK = re.compile(r"[`*_\\]")


def plain(text: str) -> str:
    """Return the words of a paragraph's text without its inline markup."""
    return _MARKUP.sub(_seen, text) if _QUICK.search(text) else text


def _seen(match: re.Match[str]) -> str:
    if match["text"] is not None:
        return _interpreted(match["text"], bool(match["role"] or (match["suffix"] or "").startswith(":")))
    if match["footnote"]:
        return f"[{match['footnote']}]"
    return match["literal"] or match["strong"] or match["emphasis"] or match["name"] or match["escaped"] or ""


def _interpreted(text: str, role: bool) -> str:
    """What is shown for the text between back-quotes: its title if it has one, else its target."""
    title, bracket, target = text.rpartition("<")
    if bracket and target.endswith(">"):
        text = title.rstrip() or target[:-1]
    return text.lstrip("!~") if role else text
