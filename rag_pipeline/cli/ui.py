"""The verb that opens the Dagster UI."""

import os

import click

from rag_pipeline.cli.options import load_settings


@click.command(short_help="Run Dagster: UI, schedules and run queue.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def dev(host: str, port: int) -> None:
    """Run Dagster for this workspace: the UI, the hourly refresh and the run queue, until Ctrl-C."""
    settings = load_settings()
    from rag_pipeline.defs.instance import dev_command

    command, environment = dev_command(settings, host, port)
    click.echo(f"the Dagster UI is going to be at http://{host}:{port}; stop it with Ctrl-C", err=True)
    # In place of this process, so that Ctrl-C reaches Dagster alone.
    os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is what is wanted
