"""The verbs that begin: write a rag.toml, and see whether its sources can be reached."""

from pathlib import Path

import click

from rag_pipeline.cli.failures import describe
from rag_pipeline.cli.options import as_json, chosen, load_settings, source_option
from rag_pipeline.cli.outcomes import Failed, code_of, for_each
from rag_pipeline.cli.output import print_json, print_notes, print_table
from rag_pipeline.errors import ConfigurationError

_TEMPLATE = Path(__file__).with_name("template.toml")


@click.command(short_help="Write a commented rag.toml.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@as_json
def init(folder: Path, as_json: bool) -> None:
    """Write a commented rag.toml into DIR (the current folder), with one source: the folder docs beside it."""
    file = folder / "rag.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as output:
            output.write(_TEMPLATE.read_text("utf-8"))
    except FileExistsError as error:
        raise ConfigurationError(f"{file} exists already; edit it, or name another folder") from error
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}; name a folder that you may write to") from error
    if as_json:
        print_json({"file": str(file.resolve())})
        return
    click.echo(f"wrote {file}, which indexes the folder {folder / 'docs'}; next:")
    if folder.resolve() != Path.cwd():
        click.echo(f"  cd {folder}")
    click.echo("  rag-pipeline refresh")
    click.echo("  rag-pipeline search 'your question' --as public")


@click.command(short_help="List the configured sources and check each.")
@source_option("Only this source")
@as_json
def sources(names: tuple[str, ...], as_json: bool) -> None:
    """List the sources of rag.toml and check that each can be reached, without reading any document."""
    from rag_pipeline.stages import Pipeline

    settings = load_settings()
    pipeline = Pipeline(settings)

    def check(name: str) -> None:
        with pipeline.opened(name) as connector:
            connector.check()

    outcomes = for_each(chosen(settings, names), check)
    rows = [
        {
            "source": source.name,
            "type": source.type,
            "place": source.place,
            "access": source.access,
            "deny": source.deny,
            "ok": not isinstance(outcome, Failed),
            "error": describe(outcome.error) if isinstance(outcome, Failed) else None,
        }
        for outcome in outcomes
        for source in [settings.source(outcome.source)]
    ]
    if as_json:
        print_json({"sources": rows})
    else:
        print_table(
            [row | {"access": ", ".join(row["access"]) or "nobody", "deny": ", ".join(row["deny"])} for row in rows],
            {"source": "source", "type": "type", "place": "place", "access": "may read", "deny": "may not", "ok": "ok"},
            optional=["deny"],
        )
        print_notes(f"{row['source']}: {row['error']}" for row in rows if row["error"])
    raise SystemExit(code_of(outcomes, lambda _: True))
