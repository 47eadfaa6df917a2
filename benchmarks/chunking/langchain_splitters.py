"""LangChain's splitters, run by the interpreter of `.venv-peers`, counting tokens as the other side does.

Standard input and output carry one JSON value a line. First comes a job, ``{"text", "splitter", "size",
"overlap", "separators"}``. While it works, this side writes a text and reads where its tokens are, as pairs
of offsets; the last line that it writes is ``{"chunks": [[start, end], …]}``.
"""

# pyright: reportMissingImports=false
# This file runs in .venv-peers, which the type checker does not see.

import json
import sys
from functools import cache

from langchain_text_splitters import RecursiveCharacterTextSplitter
from langchain_text_splitters.base import Tokenizer, split_text_on_tokens


@cache
def _tokens(text: str) -> list[list[int]]:
    print(json.dumps(text), flush=True)
    return json.loads(sys.stdin.readline())


def _recursive(text: str, size: int, overlap: int, separators: list[str] | None) -> list[tuple[int, int]]:
    splitter = RecursiveCharacterTextSplitter(
        separators, chunk_size=size, chunk_overlap=overlap, length_function=lambda part: len(_tokens(part))
    )
    spans: list[tuple[int, int]] = []
    for chunk in splitter.split_text(text):
        after = 0 if not spans else spans[-1][0] + 1 if overlap else spans[-1][1]
        start = text.index(chunk, after)
        spans.append((start, start + len(chunk)))
    return spans


def _token(text: str, size: int, overlap: int, separators: None) -> list[tuple[int, int]]:
    """Let tokens be their positions, so that a run of them decodes to the text as it was written."""
    offsets = _tokens(text)
    spans: list[tuple[int, int]] = []

    def decode(positions: list[int]) -> str:
        spans.append((offsets[positions[0]][0], offsets[positions[-1]][1]))
        return text[slice(*spans[-1])]

    tokenizer = Tokenizer(overlap, size, decode, lambda whole: list(range(len(offsets))))
    split_text_on_tokens(text=text, tokenizer=tokenizer)
    return spans


if __name__ == "__main__":
    job = json.loads(sys.stdin.readline())
    cut = {"recursive": _recursive, "token": _token}[job.pop("splitter")]
    print(json.dumps({"chunks": cut(**job)}), flush=True)
