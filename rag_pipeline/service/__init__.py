"""The index over HTTP, thin over `rag_pipeline.query`: nobody is answered whom it has not identified.

Needs the extra ``service``. The caller comes from a verified token or from a trusted proxy, never from what is
asked; every error is a problem that says what to do and nothing about what is inside.
"""

from rag_pipeline.service.app import create_app
from rag_pipeline.service.server import is_loopback, serve

__all__ = ["create_app", "is_loopback", "serve"]
