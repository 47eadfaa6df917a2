"""Generated documents: composed of blocks of every kind, nested and broken on purpose, or of raw characters."""

import re

from hypothesis import strategies as st

NASTY = "\ufeff\u200b\u200d\u200c\ufe0f\u202e\u2066\u00ad\x00\x07\x1b\v\f\x85\u2028\U000e0041\U0001f469\u0301é日ن"
WORD = st.text("abcXYZ019é日", min_size=1, max_size=8)
WORDS = st.lists(WORD, min_size=1, max_size=12).map(" ".join)
SENTENCES = st.lists(WORDS, min_size=1, max_size=6).map(lambda parts: ". ".join(parts) + ".")
MARKED = st.one_of(
    SENTENCES,
    WORDS.map(lambda words: f"*{words}* `x` [{words}](u) <b>y</b> &amp; \\#"),
    st.text("#->*`~|:=+ \t\n1.a[]<!()&" + NASTY, max_size=30),
)


def _indented(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.split("\n"))


HEADING = st.one_of(
    st.tuples(st.integers(1, 6), WORDS).map(lambda pair: f"{'#' * pair[0]} {pair[1]}"),
    st.tuples(WORDS, st.sampled_from("=-")).map(lambda pair: f"{pair[0]}\n{pair[1] * 4}"),
)
LEAF = st.one_of(
    HEADING,
    MARKED,
    st.tuples(st.sampled_from(["```", "~~~"]), MARKED).map(
        lambda pair: f"{pair[0]}py\n# no heading\n\n{pair[1]}\n{pair[0]}"
    ),
    MARKED.map(lambda text: _indented(text, "    ")),
    st.lists(WORDS, min_size=1, max_size=5).map(
        lambda rows: "| a | b |\n|---|---|\n" + "\n".join(f"| {r} | 1 |" for r in rows)
    ),
    st.sampled_from(
        ["***", "<!-- gone\n\n# gone -->", "<div>\n\n</div>", "<script>\ngone()\n</script>", "[r]: http://x 'y'"]
    ),
    WORDS.map(lambda words: f"<div>\n<p># {words}</p>\n</div>"),
)
MARKDOWN = st.lists(
    st.recursive(
        LEAF,
        lambda inner: st.one_of(
            inner.map(lambda text: _indented(text, "> ")),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda items: "\n".join("- " + _indented(item, "  ")[2:] for item in items)
            ),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda items: "\n\n".join(f"{n}. " + _indented(item, "   ")[3:] for n, item in enumerate(items, 1))
            ),
        ),
        max_leaves=6,
    ),
    max_size=10,
).map("\n\n".join)

TEXT = st.lists(st.one_of(MARKED, st.sampled_from(["", " \t", "    code\n      more"])), max_size=10).map("\n\n".join)

_TAGS = [
    "p",
    "div",
    "h1",
    "h2",
    "h5",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "pre",
    "table",
    "tr",
    "td",
    "th",
    "blockquote",
]
_TAGS += ["b", "a", "span", "section", "thead", "caption"]
HTML = st.recursive(
    st.one_of(
        MARKED,
        st.sampled_from(["<br>", "<!-- gone -->", "<script>gone</script>", "<nav>gone</nav>", "<p hidden>gone</p>"]),
    ),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(_TAGS), inner).map(lambda pair: f"<{pair[0]}>{pair[1]}</{pair[0]}>"),
        st.tuples(st.sampled_from(_TAGS), inner).map(lambda pair: f"<{pair[0]}>{pair[1]}"),
        st.lists(inner, max_size=4).map("\n".join),
    ),
    max_leaves=20,
)

DOCUMENTS = st.one_of(
    st.tuples(MARKDOWN, st.just("text/markdown")),
    st.tuples(TEXT, st.sampled_from(["text/plain", "text/x-source"])),
    st.tuples(HTML, st.just("text/html")),
    st.tuples(st.text(max_size=80), st.sampled_from(["text/markdown", "text/plain", "text/html"])),
)


def count(texts: list[str]) -> list[int]:
    """Tokens of a simple, additive tokenizer: words and marks."""
    return [len(re.findall(r"\w{1,8}|[^\w\s]", text)) for text in texts]
