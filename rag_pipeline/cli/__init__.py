"""The command line: each verb parses its words, calls the core and prints what came of it.

Exit codes: 0 fine, 1 something is wrong with the data or the world, 2 usage or configuration, 130
interrupted. Errors are a few lines on stderr; `RAG_DEBUG=1` shows the traceback instead. Nothing heavy is
imported before a verb needs it, so that help and search are quick.
"""

import logging
from typing import Any

import click

from rag_pipeline import __version__
from rag_pipeline.cli import (
    ask,
    audit,
    database,
    drafts,
    evaluate,
    members,
    migrate,
    refresh,
    serve,
    setup,
    state,
    ui,
    usage,
)
from rag_pipeline.cli.failures import debugging, describe, exit_code

_INTERRUPTED = 130


class _Main(click.Group):
    """Turns whatever ends a verb into a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        # That a statement cut off by Ctrl-C cannot be rolled back is no news: the server does it as the session ends.
        for name in ("psycopg", "psycopg.transaction"):
            logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith("error ignored in"))
        try:
            return super().invoke(ctx)
        except (SystemExit, click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if debugging():
                raise
            click.echo(f"Error: {describe(error)}", err=True)
            ctx.exit(exit_code(error))
        except BaseException:
            # Ctrl-C: KeyboardInterrupt, or while Dagster runs an exception of its own.
            if debugging():
                raise
            click.echo("interrupted", err=True)
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rag-pipeline")
def main() -> None:
    """Keep a Postgres/pgvector index equal to its sources, search it, and answer from it.

    Commands read rag.toml in the current folder or the nearest one above it.
    """


for _verb in (
    setup.init,
    setup.sources,
    refresh.refresh,
    refresh.rollback,
    state.status,
    state.quarantine,
    usage.usage,
    ask.search,
    ask.ask,
    evaluate.evaluate,
    audit.verify,
    audit.housekeeping,
    members.members,
    migrate.migrate,
    database.db,
    serve.serve,
    serve.mcp,
    ui.dev,
):
    main.add_command(_verb)

for _verb in (drafts.draft, drafts.gaps):
    evaluate.evaluate.add_command(_verb)
