"""Generated reStructuredText: composed of constructs of every kind, each word findable, or of raw marks."""

from hypothesis import strategies as st

from rag_pipeline_tests.unit.documents.generated import NASTY


def _indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line if line else "" for line in text.split("\n"))


WORD = st.integers(0, 10**6).map("w{}".format)
WORDS = st.lists(WORD, min_size=1, max_size=8).map(" ".join)
LINES = st.lists(WORDS, min_size=1, max_size=3).map("\n".join)
LEAF = st.one_of(
    LINES,
    WORDS.map("*{0}* ``{0}`` :ref:`{0} <x>` `{0} <http://x>`_ **{0}**".format),
    st.tuples(WORDS, st.sampled_from("=-~^")).map(lambda pair: f"{pair[0]}\n{pair[1] * (len(pair[0]) + 1)}"),
    LINES.map(lambda text: "::\n\n" + _indent(text, 4)),
    st.tuples(WORDS, WORDS).map(lambda pair: f":{pair[0]}: {pair[1]}"),
    st.tuples(WORD, WORD).map(lambda pair: f"======== ========\n{pair[0]:8} {pair[1]}\n======== ========"),
    WORDS.map(".. [1] {}".format),
)
DIRECTIVE = st.sampled_from(
    ["note", "unknown", "topic", "deprecated", "function", "seealso", "rubric", "tip", "my:own"]
)
RST_TEXT = st.lists(
    st.recursive(
        LEAF,
        lambda inner: st.one_of(
            inner.map(lambda text: _indent(text, 2)),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda items: "\n\n".join("* " + _indent(item, 2)[2:] for item in items)
            ),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda items: "\n\n".join("#. " + _indent(item, 3)[3:] for item in items)
            ),
            st.tuples(WORDS, inner).map(lambda pair: f"{pair[0]}\n{_indent(pair[1], 2)}"),
            st.tuples(DIRECTIVE, WORDS, inner).map(lambda t: f".. {t[0]}:: {t[1]}\n\n{_indent(t[2], 3)}"),
        ),
        max_leaves=5,
    ),
    max_size=6,
).map("\n\n".join)
MARKS = st.text("=-~*`|:_.[]#+>\\ \t\nab1" + NASTY, max_size=60)
