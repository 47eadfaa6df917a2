"""Which media type a path stands for. This table is the only one; parsers are chosen by its answers."""

from pathlib import PurePosixPath

MARKDOWN = "text/markdown"
HTML = "text/html"
TEXT = "text/plain"
SOURCE = "text/x-source"
"""Configuration, and code of languages without a grammar: text whose lines matter, and that has no front matter."""
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"
TSV = "text/tab-separated-values"
NOTEBOOK = "application/x-ipynb+json"
RST = "text/x-rst"
EMAIL = "message/rfc822"
VTT = "text/vtt"
SRT = "application/x-subrip"
TRANSCRIPT = "text/x-transcript"
"""``Speaker: text``, turn by turn; told by content, because it has no ending of its own."""
TICKET = "application/vnd.rag-pipeline.ticket+json"
"""The normal form of a record with comments (`rag_pipeline.sources.ticket`); connectors write it, no file has it."""

LANGUAGES = {
    "text/x-python": "python",
    "text/javascript": "javascript",
    "text/typescript": "typescript",
    "text/tsx": "tsx",
    "text/x-go": "go",
    "text/x-java": "java",
    "text/x-rust": "rust",
    "text/x-c": "c",
    "text/x-c++": "cpp",
    "text/x-ruby": "ruby",
    "text/x-shellscript": "bash",
    "text/x-sql": "sql",
}
"""Media types of the programming languages that have a grammar here, and the grammars' names."""

_ENDINGS = {
    MARKDOWN: "md markdown mdown mkd mdx qmd",
    HTML: "html htm xhtml",
    TEXT: "txt text adoc asciidoc org tex log",
    PDF: "pdf",
    DOCX: "docx docm",
    PPTX: "pptx pptm",
    XLSX: "xlsx xlsm",
    CSV: "csv",
    TSV: "tsv tab",
    NOTEBOOK: "ipynb",
    RST: "rst rest",
    EMAIL: "eml",
    VTT: "vtt",
    SRT: "srt",
    "text/x-python": "py pyi",
    "text/javascript": "js mjs cjs jsx",
    "text/typescript": "ts mts cts",
    "text/tsx": "tsx",
    "text/x-go": "go",
    "text/x-java": "java",
    "text/x-rust": "rs",
    "text/x-c": "c h",
    "text/x-c++": "cc cpp cxx hh hpp hxx",
    "text/x-ruby": "rb",
    "text/x-shellscript": "sh bash",
    "text/x-sql": "sql",
    SOURCE: (
        "pl pm lua php r jl ex exs erl hrl hs ml mli clj cljs vue svelte css scss less "
        "kt kts scala groovy gradle cs fs swift m mm dart zig nim "
        "zsh fish ps1 bat awk sed make mk cmake tf hcl graphql proto "
        "json jsonl toml yaml yml ini cfg conf xml xsd diff patch"
    ),
}
_NAMES = {
    TEXT: "authors changelog contributing copying license news notice readme todo",
    SOURCE: "codeowners containerfile dockerfile jenkinsfile makefile procfile",
    "text/x-ruby": "gemfile rakefile",
}
MEDIA_TYPES = {f".{ending}": kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
"""Media type by the ending of the name, in lower case."""

_BY_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def media_type(path: str) -> str | None:
    """Return the media type that a path's ending or name stands for, whatever its case; None when unknown."""
    file = PurePosixPath(path.lower())
    return MEDIA_TYPES.get(file.suffix) or _BY_NAME.get(file.name)
