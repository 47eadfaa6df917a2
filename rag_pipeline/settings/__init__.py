"""Settings: one `rag.toml`, overridden by environment variables, read in one place."""

from rag_pipeline.settings.answers import Answers
from rag_pipeline.settings.evaluation import Evaluation
from rag_pipeline.settings.load import FILE_NAME, Settings
from rag_pipeline.settings.queries import Queries
from rag_pipeline.settings.sections import (
    DECIDES,
    Budget,
    Chunking,
    Database,
    Embedding,
    Guards,
    Keywords,
    Parsing,
    Pooling,
    Retrieval,
    SourceSettings,
    Workspace,
)
from rag_pipeline.settings.service import Service
from rag_pipeline.settings.sources import (
    FilesSettings,
    GithubIssuesSettings,
    GitSettings,
    ObjectStoreSettings,
    SqlSettings,
    TicketFields,
    TicketsSettings,
    WebsiteSettings,
)
from rag_pipeline.settings.tracing import Tracing

__all__ = [
    "DECIDES",
    "FILE_NAME",
    "Answers",
    "Budget",
    "Chunking",
    "Database",
    "Embedding",
    "Evaluation",
    "FilesSettings",
    "GitSettings",
    "GithubIssuesSettings",
    "Guards",
    "Keywords",
    "ObjectStoreSettings",
    "Parsing",
    "Pooling",
    "Queries",
    "Retrieval",
    "Service",
    "Settings",
    "SourceSettings",
    "SqlSettings",
    "TicketFields",
    "TicketsSettings",
    "Tracing",
    "WebsiteSettings",
    "Workspace",
]
