"""Generated documents: varied Markdown, the same for the same number on every machine.

A document has a title, an introduction and two or three sections of one block each (a paragraph, a list, a
table or code), about 120 words in all. No two blocks of a document are equal.
"""

import random
import time
from functools import cache
from pathlib import Path

FOLDER_SIZE = 20
_SYLLABLES = (
    "an",
    "ber",
    "cor",
    "den",
    "fi",
    "gol",
    "har",
    "jo",
    "ka",
    "lum",
    "nor",
    "pel",
    "quo",
    "tem",
    "vin",
    "zar",
)
_VERSION_TOKEN_SECONDS = 2.1


@cache
def _vocabulary() -> tuple[str, ...]:
    generator = random.Random("vocabulary")
    words = {"".join(generator.choices(_SYLLABLES, k=generator.randint(1, 3))) for _ in range(6_000)}
    return tuple(sorted(words)[:: max(1, len(words) // 2_000)])


def path_of(number: int) -> str:
    """Return where a document lies below the corpus: twenty share a folder."""
    return f"topic-{number // FOLDER_SIZE:05}/page-{number:06}.md"


def sentence(generator: random.Random, words: int) -> str:
    """Return that many words, as a sentence."""
    return " ".join(generator.choices(_vocabulary(), k=words)).capitalize() + "."


def document(number: int) -> str:
    """Return the text of a document."""
    generator = random.Random(number)
    parts = [f"# {sentence(generator, 4)[:-1]} {number}", _paragraph(generator)]
    for kind in generator.sample([_paragraph, _paragraph, _list, _table, _code], k=generator.choice([2, 2, 3])):
        parts += [f"## {sentence(generator, 3)[:-1]}", kind(generator)]
    return "\n\n".join(parts) + "\n"


def _paragraph(generator: random.Random) -> str:
    return " ".join(sentence(generator, generator.randint(8, 14)) for _ in range(3))


def _list(generator: random.Random) -> str:
    return "\n".join(f"- {sentence(generator, generator.randint(5, 9))}" for _ in range(5))


def _table(generator: random.Random) -> str:
    rows = [" | ".join(generator.choices(_vocabulary(), k=3)) for _ in range(8)]
    return "\n".join(f"| {row} |" for row in (rows[0], "--- | --- | ---", *rows[1:]))


def _code(generator: random.Random) -> str:
    lines = [f"{a}({b}, {c})" for a, b, c in (generator.choices(_vocabulary(), k=3) for _ in range(8))]
    return "\n".join(["```", *lines, "```"])


def write_corpus(folder: Path, documents: int) -> None:
    """Write that many documents below `folder`, and wait until their times tell versions apart.

    A file that changed within the last two seconds is read again by the next refresh, which a benchmark
    of an hourly refresh must not measure.
    """
    for number in range(documents):
        file = folder / path_of(number)
        if number % FOLDER_SIZE == 0:
            file.parent.mkdir(parents=True)
        file.write_text(document(number), "utf-8")
    time.sleep(_VERSION_TOKEN_SECONDS)
