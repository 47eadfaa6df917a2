"""Which media type a path stands for. This table is the only one; parsers are chosen by its answers."""

from pathlib import PurePosixPath

MARKDOWN = "text/markdown"
HTML = "text/html"
TEXT = "text/plain"
SOURCE = "text/x-source"
"""Code, configuration and tables: text whose lines matter, and that has no front matter."""

_ENDINGS = {
    MARKDOWN: "md markdown mdown mkd mdx qmd",
    HTML: "html htm xhtml",
    TEXT: "txt text rst adoc asciidoc org tex log vtt srt",
    SOURCE: (
        "py pyi rb pl pm lua php r jl ex exs erl hrl hs ml mli clj cljs js mjs cjs jsx ts tsx vue svelte css scss less "
        "go rs java kt kts scala groovy gradle c h cc cpp cxx hh hpp hxx cs fs swift m mm dart zig nim "
        "sh bash zsh fish ps1 bat awk sed make mk cmake tf hcl sql graphql proto "
        "json jsonl toml yaml yml ini cfg conf xml xsd csv tsv diff patch"
    ),
}
_NAMES = {
    TEXT: "authors changelog contributing copying license news notice readme todo",
    SOURCE: "codeowners containerfile dockerfile gemfile jenkinsfile makefile procfile rakefile",
}
MEDIA_TYPES = {f".{ending}": kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
"""Media type by the ending of the name, in lower case."""

_BY_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def media_type(path: str) -> str | None:
    """Return the media type that a path's ending or name stands for, whatever its case; None when unknown."""
    file = PurePosixPath(path.lower())
    return MEDIA_TYPES.get(file.suffix) or _BY_NAME.get(file.name)
