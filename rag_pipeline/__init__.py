"""rag-pipeline keeps a Postgres/pgvector index equal to its sources, and proves it."""

__version__ = "0.1.0"
