"""The verbs of the database: start and stop the workspace's own Postgres, and open a session on it."""

import os
from typing import Literal

import click

from rag_pipeline.cli.options import as_json, load_settings
from rag_pipeline.cli.output import print_json
from rag_pipeline.errors import ConfigurationError


@click.group(short_help="Start, stop and reach the database.")
def db() -> None:
    """Start, stop and reach the database that holds the index."""


@db.command()
@as_json
def start(as_json: bool) -> None:
    """Start the embedded Postgres if need be, prepare both databases, and print the URL of the index."""
    from rag_pipeline.database.migrate import prepare

    prepare(load_settings())
    _print_url("rag", as_json)


@db.command()
@as_json
def stop(as_json: bool) -> None:
    """Stop the embedded Postgres, whoever uses it now; the next command that needs it starts it again."""
    from rag_pipeline.database.connection import embedded_server

    server = embedded_server(load_settings())
    if server is None:
        raise ConfigurationError("[database] url names a server of your own; stop it the way it was started")
    was_running = server.is_running()
    server.stop()
    if as_json:
        print_json({"stopped": was_running})
    else:
        click.echo("stopped" if was_running else "it was not running")


@db.command()
@click.option("--dagster", is_flag=True, help="Of Dagster's database instead of the index.")
@as_json
def url(dagster: bool, as_json: bool) -> None:
    """Print the URL of the index, for any Postgres client; starts the embedded Postgres if need be."""
    _print_url("dagster" if dagster else "rag", as_json)


@db.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", metavar="[PSQL ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the index; everything after the verb is passed on, such as -c 'select …'."""
    from rag_pipeline.database.connection import server_url
    from rag_pipeline.database.installation import binaries

    program = binaries(None) / "psql"
    # In place of this process, so that the terminal and its signals are psql's own.
    os.execv(program, [str(program), server_url(load_settings()), *arguments])  # noqa: S606 - no shell is what is wanted


def _print_url(database: Literal["rag", "dagster"], as_json: bool) -> None:
    from rag_pipeline.database.connection import server_url

    address = server_url(load_settings(), database)
    if as_json:
        print_json({"url": address})
    else:
        click.echo(address)
