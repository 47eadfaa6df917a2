"""The page that holds the sections of all benchmarks, each between marks, so that one can be measured again alone."""

import re
from collections.abc import Iterable

_HEAD = """# Benchmarks

Written by `make bench`; do not edit. Every figure is as measured on the machine that its section names, and
whatever is compared was measured in the same run, on the same data, one after the other. Run one benchmark
again, and only its section is replaced: `.venv/bin/python -m benchmarks NAME`.
"""
_SECTION = re.compile(r"<!-- begin (?P<name>\w+) -->\n(?P<text>.*?)<!-- end (?P=name) -->\n", re.DOTALL)


def merged(page: str, name: str, section: str, order: Iterable[str]) -> str:
    """Return the page with one section replaced or added; sections stand in `order`, unknown ones are dropped."""
    sections = {match["name"]: match["text"] for match in _SECTION.finditer(page)} | {name: section}
    blocks = [
        f"<!-- begin {known} -->\n{sections[known]}<!-- end {known} -->\n" for known in order if known in sections
    ]
    return "\n".join([_HEAD, *blocks])
