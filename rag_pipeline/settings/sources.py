"""What each kind of source is configured with."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, InstanceOf, Tag, model_validator

from rag_pipeline.settings.sections import Section, SourceSettings


class FilesSettings(SourceSettings):
    """A folder."""

    type: Literal["files"]
    path: Path = Field(description="Folder to index; relative to rag.toml.")


class GitSettings(SourceSettings):
    """A git repository."""

    type: Literal["git"]
    url: str = Field(description="Anything that git can fetch from; a path is relative to rag.toml.")
    ref: str = Field(default="HEAD", description="Branch, tag or commit to index.")


class ObjectStoreSettings(SourceSettings):
    """A bucket, or any other place that fsspec can list."""

    type: Literal["object_store"]
    url: str = Field(description="fsspec URL of a prefix: s3://bucket/prefix, gs://…, az://…, file://…")
    options: Mapping[str, Any] = Field(
        default_factory=dict[str, Any], description="Options of the file system, such as endpoint_url; no secrets."
    )


class TicketFields(Section):
    """Where a record keeps what a ticket has: names of columns, or dotted paths into JSON."""

    id: str = Field(default="id", description="Identifies the record; stable.")
    title: str = Field(default="title", description="Title.")
    body: str = Field(default="body", description="Text.")
    state: str | None = Field(default=None, description="State, such as open or closed.")
    labels: str | None = Field(default=None, description="A list of labels, or a text with commas between them.")
    author: str | None = Field(default=None, description="Who wrote it.")
    url: str | None = Field(default=None, description="Where people read it; becomes the uri.")
    created_at: str | None = Field(default=None, description="When it was written.")
    updated_at: str | None = Field(default=None, description="When it last changed.")
    access: str | None = Field(
        default=None, description="Principals who may read it; a record that has none there: nobody."
    )
    comments: str | None = Field(default=None, description="A list of comments.")
    comment_author: str = Field(default="author", description="Who wrote a comment; a path inside it.")
    comment_body: str = Field(default="body", description="What a comment says; a path inside it.")
    comment_at: str = Field(default="created_at", description="When a comment was written; a path inside it.")
    metadata: Mapping[str, str] = Field(
        default_factory=dict[str, str], description="More to keep: name in the index = path in the record."
    )


class TicketsSettings(SourceSettings):
    """Exports of a ticket system: JSON, JSON Lines or CSV files with many records each."""

    type: Literal["tickets"]
    path: Path = Field(description="File or folder of exports; relative to rag.toml.")
    fields: TicketFields = Field(
        default_factory=lambda: TicketFields.model_validate({}), description="Where a record keeps what."
    )
    records: str | None = Field(default=None, description="Path of the list of records inside a JSON file.")
    body_type: Literal["text/markdown", "text/html", "text/plain"] = Field(
        default="text/markdown", description="How bodies and comments are written."
    )


class SqlSettings(SourceSettings):
    """The rows of a query, in any Postgres."""

    type: Literal["sql"]
    url: str | None = Field(default=None, description="postgresql://… without a password.")
    url_env: str | None = Field(
        default=None, description="Name of the environment variable that holds the URL, password and all."
    )
    query: str = Field(description="One SELECT; each of its rows is a document.")
    fields: TicketFields = Field(
        default_factory=lambda: TicketFields.model_validate({}), description="Which column holds what."
    )
    body_type: Literal["text/markdown", "text/html", "text/plain"] = Field(
        default="text/markdown", description="How bodies and comments are written."
    )

    @model_validator(mode="after")
    def _one_url(self) -> "SqlSettings":
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give exactly one of url and url_env")
        if self.url and ("password=" in self.url or re.search("//[^/@]*:[^/@]*@", self.url)):
            raise ValueError("a url in rag.toml holds no password; put the url into a variable and name it in url_env")
        return self


class WebsiteSettings(SourceSettings):
    """The pages of a website's sitemap."""

    type: Literal["website"]
    url: str = Field(description="The website, or its sitemap: https://docs.example.com/sitemap.xml")
    hosts: tuple[str, ...] = Field(default=(), description="Further hosts whose pages belong to the site.")
    private_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that may resolve to private addresses (an intranet); none by default."
    )
    requests_per_second: float = Field(default=2, gt=0, le=100, description="Requests a second, at most.")
    max_pages: int = Field(default=50_000, ge=1, description="More pages than this make the listing incomplete.")


class GithubIssuesSettings(SourceSettings):
    """Issues, pull requests and discussions of a GitHub repository."""

    type: Literal["github_issues"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")
    api_url: str = Field(
        default="https://api.github.com",
        pattern=r"^https?://[^/@?#\s]+(/[^@?#\s]*)?$",
        description="The API; https://HOST/api/v3 for GitHub Enterprise.",
    )
    token_env: str = Field(default="GITHUB_TOKEN", description="Environment variable that holds the token.")
    kinds: tuple[Literal["issue", "pull_request", "discussion"], ...] = Field(
        default=("issue", "pull_request"), description="What to index."
    )
    full_listing_hours: float = Field(
        default=24, ge=0, description="Between complete listings, which notice deletions, only changes are asked for."
    )


def _kind(value: Any) -> str | None:
    """Tell the union's members apart; a connector's settings come as an object that their own class made."""
    if isinstance(value, Mapping):
        return value.get("type")
    name = getattr(value, "type", None)
    return name if name in SOURCE_TYPES else "connector"


AnySource = Annotated[
    Annotated[FilesSettings, Tag("files")]
    | Annotated[GitSettings, Tag("git")]
    | Annotated[ObjectStoreSettings, Tag("object_store")]
    | Annotated[TicketsSettings, Tag("tickets")]
    | Annotated[SqlSettings, Tag("sql")]
    | Annotated[WebsiteSettings, Tag("website")]
    | Annotated[GithubIssuesSettings, Tag("github_issues")]
    | Annotated[InstanceOf[SourceSettings], Tag("connector")],
    Discriminator(_kind),
]

SOURCE_KINDS: Mapping[str, type[SourceSettings]] = {
    "files": FilesSettings,
    "git": GitSettings,
    "object_store": ObjectStoreSettings,
    "tickets": TicketsSettings,
    "sql": SqlSettings,
    "website": WebsiteSettings,
    "github_issues": GithubIssuesSettings,
}
"""The settings of each type of source that needs no further package."""

SOURCE_TYPES = tuple(SOURCE_KINDS)
