"""What is compared: this project's chunker with its default settings, and LangChain's splitters.

Sizes are tokens of one tokenizer, the embedding model's. A chunk is what it says, and the text that is
embedded for it: with this project's headings above it, with the others the chunk itself.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from tokenizers import Tokenizer

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.embeddings.weights import PACKAGED
from rag_pipeline.settings import Chunking

PEERS_PYTHON = Path(__file__).resolve().parents[2] / ".venv-peers" / "bin" / "python"
PAPER = ("\n\n", "\n", ".", "?", "!", " ", "")
"""The report's separators; LangChain's own are blank lines, lines, words and characters."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of a corpus: ``text[start:end]``, and the text that stands for it in the vector space."""

    start: int
    end: int
    embed_text: str


Split = Callable[[str], list[Piece]]


def open_tokenizer(model: str) -> Tokenizer:
    """Return a packaged model's tokenizer, which tells where tokens are; the embedder only counts them."""
    packaged = PACKAGED[model]
    folder = Path(str(distribution(packaged.distribution).locate_file(packaged.folder)))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def ours(count_tokens: Callable[[list[str]], list[int]], settings: Chunking) -> Split:
    """This project's chunker on the corpus as a Markdown file."""

    def cut(text: str) -> list[Piece]:
        document = parse(text.encode(), "text/markdown")
        assert text.startswith(document.text), "positions in the parsed text are not those of the corpus"
        return [
            Piece(section.start + chunk.start, section.start + chunk.end, chunk.embed_text)
            for section in split(document, count_tokens, settings.max_tokens, settings.window_tokens)
            for chunk in section.chunks
        ]

    return cut


def langchain(tokenizer: Tokenizer, splitter: str, size: int, overlap: int, separators: Sequence[str] = ()) -> Split:
    """One of LangChain's splitters, in a process of its own environment, which asks this one where tokens are."""
    job = {"splitter": splitter, "size": size, "overlap": overlap, "separators": list(separators) or None}

    def cut(text: str) -> list[Piece]:
        command = [PEERS_PYTHON, Path(__file__).with_name("langchain_splitters.py")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            print(json.dumps(job | {"text": text}), file=process.stdin, flush=True)
            for line in process.stdout:
                asked = json.loads(line)
                if isinstance(asked, dict):
                    return [Piece(start, end, text[start:end]) for start, end in asked["chunks"]]
                offsets = tokenizer.encode(asked, add_special_tokens=False).offsets
                print(json.dumps(offsets), file=process.stdin, flush=True)
        raise RuntimeError(f"LangChain's {splitter} splitter ended with code {process.returncode}; see above")

    return cut
