"""`make demo`: this repository as an index, a change, a deletion, and the same questions by two callers.

Runs the ordinary commands and shows them, so that everything here can be done by hand.
"""

import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOTE = HERE / "docs" / "demo-note.md"
COMMAND = Path(sys.executable).with_name("rag-pipeline")

FIRST = """---
team: kitchen
---
# Espresso machine

## Descaling

Descale the office espresso machine on the first Monday of the month.

## Beans

Beans are ordered by the person who finishes the last bag.
"""

# Among what the kitchen wrote: the README, which shows this very output, would be found as well.
DESCALED = """search 'when is the coffee machine descaled' --as public -k 1 --where '{"team": "kitchen"}'"""

QUESTIONS = (
    "which function takes the lock of a source before it publishes",
    "how are list items and tables cut into chunks",
    "what happens when the source lists nothing at all",
)


def say(text: str) -> None:
    """Print what comes next."""
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def run(arguments: str) -> None:
    """Show a command and run it."""
    print(f"$ rag-pipeline {arguments}", flush=True)
    subprocess.run([COMMAND, *shlex.split(arguments)], cwd=HERE, check=True)


def main() -> None:
    """Tell the story; the checkout is as it was afterwards."""
    started = time.monotonic()
    try:
        NOTE.write_text(FIRST)
        say("Index this repository: its documentation for everyone, its code for engineers")
        run("refresh")
        say("Change one paragraph: one text is embedded")
        NOTE.write_text(FIRST.replace("first Monday", "last Friday"))
        run("refresh --source docs")
        run(DESCALED)
        say("Delete the document: it leaves no ghost")
        NOTE.unlink()
        run("refresh --source docs")
        run(DESCALED)
    finally:
        NOTE.unlink(missing_ok=True)
    say("Three questions by two callers: only engineers may read the code")
    for question in QUESTIONS:
        for caller in ("--as public", "--as user:ana --as group:engineers"):
            run(f"search '{question}' {caller} -k 1")
    say("An answer quotes what it rests on where no model is configured, and says so when nothing tells it")
    run("ask 'what happens to a document that comes back' --as public")
    run("ask 'what does the canteen serve on Fridays' --as public")
    say("The index is what its sources say, and can prove it")
    run("verify --source docs")
    run("status")
    print(f"\nDone in {time.monotonic() - started:.0f} s. The Dagster UI of this index: make ui")


if __name__ == "__main__":
    main()
