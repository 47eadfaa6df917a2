import pytest

from rag_pipeline.documents import parse


def blocks(source: str) -> list[tuple[str, int, str]]:
    document = parse(source.encode(), "text/html")
    return [(block.kind.value, block.level, document.text[block.start : block.end]) for block in document.blocks]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>a \n <i>b</i>c<p>d", [("paragraph", 0, "a bc"), ("paragraph", 0, "d")]),
        ("<p>a<br> b<br><br>c", [("paragraph", 0, "a\nb\nc")]),
        ("loose<div>div</div>tail", [("paragraph", 0, "loose"), ("paragraph", 0, "div"), ("paragraph", 0, "tail")]),
        ("<h1>A <b>b</b>\n c</h1><h6>d</h6>", [("heading", 1, "A b c"), ("heading", 6, "d")]),
        ("<pre>\n  x &lt; 1\n\ty</pre>", [("code", 0, "  x < 1\n\ty")]),
        ("<blockquote><p>a</p><p>b</p></blockquote>", [("quote", 0, "a\nb")]),
        ("<ul><li>a<li>b</ul>", [("list_item", 1, "- a"), ("list_item", 1, "- b")]),
        (
            "<ol><li><p>a</p><p>b</p><ul><li>c</li></ul>d</li></ol>",
            [("list_item", 1, "- a\nb"), ("list_item", 2, "  - c"), ("list_item", 1, "d")],
        ),
        ("<li>a<pre> x\n y</pre>b", [("list_item", 1, "- a\n x\n y\nb")]),
        ("<dl><dt>t</dt><dd>d</dd></dl>", [("list_item", 1, "t"), ("list_item", 1, "  d")]),
        ("<table><tr><td>a<td>b<p>c<tr><td><td>d</table>", [("table", 0, "a | b c\n| d")]),
        ("<table><caption>C</caption><tr><td>a</table>", [("paragraph", 0, "C"), ("table", 0, "a")]),
        (
            "<table><tr><td>menu<td><h2>H</h2><p>text<table><tr><td>x</table></table>",
            [("paragraph", 0, "menu"), ("heading", 2, "H"), ("paragraph", 0, "text"), ("table", 0, "x")],
        ),
        ("a < b &amp;&lt; <3 > &nbsp; c", [("paragraph", 0, "a < b &< <3 > c")]),
        ("<p>in<wbr>vis&shy;i&#x200b;ble&#xE0041; &#x202e;x&#0;", [("paragraph", 0, "invisible x\ufffd")]),
        ("<p>a<!-- b --> c<!-- d > --><p>e <!--", [("paragraph", 0, "a c"), ("paragraph", 0, "e")]),
        ("<p>a<p <b never ends", [("paragraph", 0, "a")]),
        ("<p title='a > b' data-x=\"</p>\">c", [("paragraph", 0, "c")]),
        ("<SCRIPT>if (a<b) '<p>x</p>'</SCRIPT ><p>a<script>never ends <p>b", [("paragraph", 0, "a")]),
        ("<html><head><title>T</title><p>no end of head", [("paragraph", 0, "no end of head")]),
    ],
)
def test_blocks(source, expected):
    assert blocks(source) == expected


@pytest.mark.parametrize(
    "dropped",
    [
        *(
            f"<{tag}>GONE</{tag}>"
            for tag in ("nav", "header", "footer", "aside", "form", "style", "script", "template")
        ),
        *(f"<{tag}>GONE</{tag}>" for tag in ("noscript", "svg", "iframe", "button", "select", "title")),
        "<!-- GONE -->",
        "<?php GONE ?>",
        "<div hidden>GONE</div>",
        "<div aria-hidden='TRUE'>GONE<p>GONE</p></div>",
        "<span style='color:red; Display : none !important'>GONE</span>",
        "<span style='dis/**/play:none'>GONE</span>",
        "<p style='visibility:hidden'>GONE</p>",
        "<p style='font-size: 0.0px'>GONE</p>",
        "<p style='opacity:0'>GONE</p>",
        "<div role=navigation>GONE</div>",
        "<div id=cookie-banner>GONE</div>",
        "<div class='big cookie_consent'>GONE</div>",
    ],
)
def test_what_a_reader_does_not_see_is_dropped(dropped):
    assert parse(f"<p>before</p>{dropped}<p>after</p>".encode(), "text/html").text == "before\n\nafter"


@pytest.mark.parametrize(
    "kept", ["<p style='font-size:0.9em'>KEPT</p>", "<p style='opacity: .5'>KEPT</p>", "<p class=cookies>KEPT</p>"]
)
def test_what_a_reader_sees_stays(kept):
    assert "KEPT" in parse(f"<p>before</p>{kept}".encode(), "text/html").text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>out<main><p>in</main>", "in"),
        ("<main hidden>old</main><div role=main>new</div>out", "new"),
        ("out<article>in</article>", "in"),
        ("<article>a</article><article>b</article>", "a\n\nb"),
        ("<header>site</header><article><header><h1>H</h1></header>in</article>", "H\n\nin"),
        ("<form action=x><input value=y><h1>H</h1>in</form>", "H\n\nin"),
    ],
)
def test_the_main_content_is_preferred(source, text):
    assert parse(source.encode(), "text/html").text == text


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("<title>T</title><h2>S</h2><h1>H\n1</h1>", "H 1"),
        ("<title> T\n t </title><h2>S</h2>", "T t"),
        ("<h3>S</h3><h2>T</h2>", "S"),
        ("<p>text", ""),
    ],
)
def test_title(source, title):
    assert parse(source.encode(), "text/html", "name.html").title == title


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("<table><thead><tr><td>a</td></tr><tr><td>b</td></tr></thead><tr><td>1</td></tr></table>", "a\nb\n"),
        ("<table><tr><th>a<th>b</tr><tr><th>1<td>2</tr></table>", "a | b\n"),
        ("<table><tr><td>a</tr><tr><td>1</tr></table>", None),
        ("<table><tr><th>a</tr></table>", None),
    ],
)
def test_a_table_knows_its_header(source, header):
    document = parse(source.encode(), "text/html")
    [table] = document.blocks
    assert (None if table.header_end is None else document.text[table.start : table.header_end]) == header


def test_the_declared_charset_is_believed():
    data = "<meta charset=windows-1251><p>Кот сидит. A cat sits on the mat, and the mat is on the floor.</p>"
    assert "Кот сидит" in parse(data.encode("cp1251"), "text/html").text
