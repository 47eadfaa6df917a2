"""How an answer looks on a terminal: its text as it is written, then what it rests on."""

from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.hits import excerpt, freshness, print_hits, spot
from rag_pipeline.cli.output import age, print_notes, printable
from rag_pipeline.money import dollars

if TYPE_CHECKING:
    from rag_pipeline.query import Answer, Citation


class Shown:
    """What was shown of an answer while it was written."""

    def __init__(self) -> None:
        self.anything = False

    def add(self, text: str) -> None:
        """Show a piece. Control characters were taken out of it when it was read."""
        click.echo(text, nl=False)
        self.anything = True


def print_answer(answer: "Answer", shown: Shown) -> None:
    """Print what was not shown yet: the text, its citations, how old the index is, and what the answer took."""
    if shown.anything:
        click.echo()
    elif answer.citations and answer.model is None:
        _print_quotations(answer)
    elif answer.answer is not None:
        click.echo("\n".join(map(printable, answer.answer.split("\n"))))
    if answer.answer is None:
        click.echo()
        print_hits(answer.hits)
        print_notes(answer.notes[len(answer.hits.notes) :])
        return
    if answer.model is not None:
        click.echo()
        for citation in answer.citations:
            _print_citation(citation)
    click.echo(freshness(answer.hits))
    if answer.model is not None:
        cost = "price unknown" if answer.cost_usd is None else dollars(answer.cost_usd)
        taken = "from the cache" if answer.cached else f"{answer.tokens:,} tokens, {cost}"
        click.echo(f"{printable(answer.model)}: {taken}, {answer.seconds:.1f} s")
    print_notes(answer.notes)


def _print_quotations(answer: "Answer") -> None:
    for citation in answer.citations:
        _print_citation(citation)
        for line in excerpt(citation.quote):
            click.echo(f"    {line}")
        click.echo()


def _print_citation(citation: "Citation") -> None:
    modified = f", modified {age(citation.modified_at)}" if citation.modified_at else ""
    name = " > ".join(citation.heading_path) or citation.title or citation.document_id
    click.echo(f"[{citation.number}] {printable(name)}")
    where = f"{citation.source}: {citation.uri}{spot(citation.place)}"
    click.echo(f"    {printable(where)}{modified}, version {citation.version[:12]}")
