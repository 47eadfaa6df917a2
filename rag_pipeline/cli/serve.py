"""The verbs that let others ask: over HTTP, and as tools of a language model."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from rag_pipeline.cli.options import caller_of, caller_option, load_settings
from rag_pipeline.errors import ConfigurationError

_EXTRAS = {"service": ("fastapi", "uvicorn", "jwt", "cryptography", "prometheus_client"), "mcp": ("mcp",)}


@click.command(short_help="Answer searches over HTTP, with a page to ask in.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@caller_option("Everyone who asks is this caller; for this machine only. Repeat for each principal.")
def serve(host: str, port: int, principals: tuple[str, ...]) -> None:
    """Answer searches over HTTP, and give a page to ask in, until Ctrl-C.

    Who asks is told by a token or by a trusted proxy, as [service] says; for one's own machine by --as.
    """
    settings = load_settings()
    caller = caller_of(principals) if principals else None
    with _extra("service"):
        from rag_pipeline.service import create_app, is_loopback
        from rag_pipeline.service import serve as run
    if caller and not is_loopback(host):
        raise click.UsageError(
            f"--as makes everyone who reaches {host} the caller {principals[0]}; leave --host out, or --as"
        )
    from rag_pipeline.query import Index

    with Index.connect(settings) as index:
        app = create_app(settings, index=index, caller=caller, this_machine=is_loopback(host))
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"the page is at http://{shown}:{port}; stop it with Ctrl-C", err=True)
        run(app, host, port)


@click.command(short_help="Offer search to a language model (MCP, over stdio).")
@caller_option()
def mcp(principals: tuple[str, ...]) -> None:
    """Serve the Model Context Protocol on stdin and stdout: the tools search, answer and fetch_window.

    Whoever starts it fixes the caller; a model cannot ask for anybody else.
    """
    caller = caller_of(principals)
    settings = load_settings()
    with _extra("mcp"):
        from rag_pipeline.mcp import create_server
    from rag_pipeline.query import Index

    with Index.connect(settings) as index:
        create_server(index, caller).run("stdio")


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Say which extra is missing when a library of it is."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS[name]:
            raise
        raise ConfigurationError(
            f"this command needs the extra {name!r}; install it: pip install 'rag-pipeline[{name}]'"
        ) from error
