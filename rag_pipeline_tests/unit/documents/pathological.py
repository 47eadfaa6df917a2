"""Shapes of documents that make careless parsers slow: of any size, all of one trick."""

import json
from collections.abc import Callable

from rag_pipeline.sources import media_types as types

PATHOLOGICAL: dict[str, tuple[str, Callable[[int], str]]] = {
    "brackets": ("text/markdown", lambda n: "[" * n),
    "quotes": ("text/markdown", lambda n: ">" * n),
    "wide table": (
        "text/markdown",
        lambda n: "|a" * (n // 20) + "\n" + "|-" * (n // 20) + ("\n" + "|b" * (n // 20)) * 9,
    ),
    "one line": ("text/markdown", lambda n: "word " * n * 20),
    "blank line": ("text/plain", lambda n: " " * n * 20),
    "open comments": ("text/markdown", lambda n: "<!--\n\n" * n),
    "nested lists": ("text/markdown", lambda n: "".join("  " * (i % 60) + "- a\n" for i in range(n // 10))),
    "heading of backticks": ("text/markdown", lambda n: "# " + "`" * n),
    "open tags": ("text/html", lambda n: "x<a " * n),
    "open html comments": ("text/html", lambda n: "x<!--" * n),
    "open declarations": ("text/html", lambda n: "x<![CDATA[" * n),
    "open scripts": ("text/html", lambda n: "x<script>" * n),
    "attributes": ("text/html", lambda n: "<p " + " ".join(f"a{i}=1" for i in range(n)) + ">x"),
    "deep": ("text/html", lambda n: "<div>" * n + "x"),
    "deep lists": ("text/html", lambda n: "<ul><li>a" * n),
    "deep tables": ("text/html", lambda n: "<table><tr><td>a" * n),
    "marks": ("text/plain", lambda n: "a" + "\u0301" * n * 5),
    "turns": ("text/plain", lambda n: "A: b\n" * n),
    "colons": ("text/plain", lambda n: "a:" * n * 5),
}
"""Kind and maker by name; the size is a number of characters, about."""

_CELL = {"cell_type": "markdown", "metadata": {}, "source": ["a\n"]}
_CUE = "00:01.000 --> 00:02.000\n"

MEMBERS: dict[str, tuple[str, Callable[[int], str]]] = {
    # reStructuredText: each construct for which docutils hands on all lines that are left
    "rst bullets": (types.RST, lambda n: "* a\n\nx\n\n" * n),
    "rst one list": (types.RST, lambda n: "* a\n" * n),
    "rst bullets of two kinds": (types.RST, lambda n: "* a\n- b\n" * n),
    "rst numbers": (types.RST, lambda n: "1. a\n\nx\n\n" * n),
    "rst fields": (types.RST, lambda n: ":a: b\n\nx\n\n" * n),
    "rst options": (types.RST, lambda n: "-a  b\n\nx\n\n" * n),
    "rst definitions": (types.RST, lambda n: "a\n  b\n\nx\n\n" * n),
    "rst line blocks": (types.RST, lambda n: "| a\n\n" * n),
    "rst targets": (types.RST, lambda n: ".. _a: b\n\nx\n\n" * n),
    "rst comments": (types.RST, lambda n: "..\n\nx\n\n" * n),
    "rst footnotes": (types.RST, lambda n: ".. [1] x\n\n" * n),
    "rst directives": (types.RST, lambda n: ".. note:: x\n\n" * n),
    "rst attributions": (types.RST, lambda n: "   a\n\n   -- b\n\n" * n),
    "rst blanks in a quote": (types.RST, lambda n: "  a\n\n  -- b\n" + "\n" * n + "  x\n"),
    "rst quoted literals": (types.RST, lambda n: "::\n\n> a\n\n" * n),
    "rst no literals": (types.RST, lambda n: "::\n\nx\n\n" * n),
    "rst borders and bullets": (types.RST, lambda n: "+--+\n* a\n" * n),
    "rst borders": (types.RST, lambda n: "== ==\na b\n=== ==\nx\n\n" * n),
    "rst grid": (types.RST, lambda n: "+-+-+\n+ + +\n" * n + "+-+-+\n"),
    "rst titles": (types.RST, lambda n: "T\n=====\n\n" * n),
    "rst lists in an item": (types.RST, lambda n: "* a\n\n" + "  - b\n\n  x\n\n" * n),
    "rst stairs": (types.RST, lambda n: "".join("  " * (i % 45) + "* a\n" for i in range(n))),
    "rst marks": (types.RST, lambda n: "`a *b ``c |d [e :f:`g _`h " * n),
    # code: very many members of one node
    "python functions": ("text/x-python", lambda n: "def f(): pass\n" * n),
    "python methods": ("text/x-python", lambda n: "class A:\n" + "    def f(self): pass\n" * n),
    "python elements": ("text/x-python", lambda n: "x = [\n" + "    1,\n" * n + "]\n"),
    "python branches": ("text/x-python", lambda n: "if a:\n    b\n" + "elif a:\n    b\n" * n),
    "python comments": ("text/x-python", lambda n: "# a\n" * n + "x = 1\n"),
    "javascript exports": ("text/javascript", lambda n: "export const a = () => 1;\n" * n),
    "javascript elements": ("text/javascript", lambda n: "x = [\n" + "1,\n" * n + "];\n"),
    "typescript members": ("text/typescript", lambda n: "interface A {\n" + "a: string;\n" * n + "}\n"),
    "go functions": ("text/x-go", lambda n: "package a\n" + "func f() {}\n" * n),
    "java methods": ("text/x-java", lambda n: "class A {\n" + "void f() {}\n" * n + "}\n"),
    "rust functions": ("text/x-rust", lambda n: "fn f() {}\n" * n),
    "c elements": ("text/x-c", lambda n: "int x[] = {\n" + "1,\n" * n + "};\n"),
    "c conditions": ("text/x-c", lambda n: "#ifdef A\nint a;\n#endif\n" * n),
    "c++ methods": ("text/x-c++", lambda n: "int A::f() { return 1; }\n" * n),
    "ruby methods": ("text/x-ruby", lambda n: "def f\nend\n" * n),
    "shell lines": ("text/x-shellscript", lambda n: "echo a\n" * n),
    "sql rows": ("text/x-sql", lambda n: "insert into a values\n" + "(1),\n" * n + "(2);\n"),
    # the others
    "csv rows": (types.CSV, lambda n: "a,b\n" + "1,2\n" * n),
    "csv columns": (types.CSV, lambda n: ",".join(f"c{i}" for i in range(n)) + "\n" + "1," * (n - 1) + "1\n"),
    "csv quotes": (types.CSV, lambda n: 'a,b\n"' + '""' * n + '",x\n'),
    "vtt cues": (types.VTT, lambda n: "WEBVTT\n\n" + (_CUE + "<v Ada>a\n\n") * n),
    "vtt tags": (types.VTT, lambda n: "WEBVTT\n\n" + _CUE + "<v Ada><i>a" * n + "\n"),
    "srt cues": (types.SRT, lambda n: "1\n00:00:01,000 --> 00:00:02,000\na\n\n" * n),
    "turns of two": (types.TRANSCRIPT, lambda n: "Ada: a\nBob: b\n" * n),
    "mail headers": (types.EMAIL, lambda n: "X-A: b\n" * n + "Subject: s\n\nbody\n"),
    "mail quotes": (types.EMAIL, lambda n: "Subject: s\n\n" + "> a\nb\n" * n),
    "notebook cells": (types.NOTEBOOK, lambda n: json.dumps({"nbformat": 4, "metadata": {}, "cells": [_CELL] * n})),
    "ticket comments": (types.TICKET, lambda n: json.dumps({"title": "t", "comments": [{"body": "a"}] * n})),
    "html table": (types.HTML, lambda n: "<table>" + "<tr><td>a<td>b" * n),
    "html headings": (types.HTML, lambda n: "<h1>a</h1><h2>b</h2><p>c</p>" * n),
    "markdown items": (types.MARKDOWN, lambda n: "* a\n- b\n" * n),
    "markdown references": (types.MARKDOWN, lambda n: "[a]: b\n\n[a][a]\n\n" * n),
    "markdown headings": (types.MARKDOWN, lambda n: "# a\n\n## b\n\nc\n\n" * n),
    "paragraphs": (types.TEXT, lambda n: "a\n\n" * n),
}
"""Kind and maker by name; the size is how often the same thing stands side by side."""
