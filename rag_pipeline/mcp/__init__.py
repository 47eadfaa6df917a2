"""The index as tools of a language model (Model Context Protocol), thin over `rag_pipeline.query`.

Needs the extra ``mcp``. The caller is fixed by whoever starts the server, so nothing that a model reads can
make it ask for somebody else. What documents say is handed over as data, never as instructions.
"""

from rag_pipeline.mcp.server import create_server

__all__ = ["create_server"]
