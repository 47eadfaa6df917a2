"""The sections of rag.toml, and what every kind of source understands."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rag_pipeline.model import Access, principal
from rag_pipeline.settings.prefixes import Prefixes, known_prefixes

Pooling = Literal["cls", "mean", "last", "none"]
"""How one vector is made of those of the tokens: the first, their mean, the last, or by the model itself."""


class Section(BaseModel):
    """A table of rag.toml: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Workspace(Section):
    """Where the pipeline keeps what it works with."""

    root: str = Field(default=".rag", description="Folder (or fsspec URL) of stage files and document blobs.")
    keep_days: int = Field(
        default=30, ge=1, description="Days that snapshots, removed documents and unused vectors are kept."
    )


class Database(Section):
    """Where the index lives."""

    url: str = Field(
        default="embedded", description="'embedded', or postgresql://… of a server with pgvector 0.8 or later."
    )
    read_url: str | None = Field(
        default=None, description="postgresql://… of a read replica that searches ask instead; none by default."
    )
    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port on 127.0.0.1 for the embedded server; none by default."
    )


def open_address(url: str) -> str:
    """Refuse an address with a secret in it: rag.toml, and the recipes of generations, are for many to read."""
    try:
        parts = urlsplit(url)
    except ValueError:  # said where it is asked
        return url
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "an address has no user, password or parameters, because it is kept for all to see; "
            "write https://HOST/v1, and set OPENAI_API_KEY"
        )
    return url


class Embedding(Section):
    """The frozen interface between texts and vectors."""

    provider: Literal["local", "openai", "hashed"] = Field(
        default="local",
        description="'local' runs a model here; 'openai' asks a service; 'hashed' is without meaning, for load tests.",
    )
    model: str = Field(default="BAAI/bge-small-en-v1.5", description="Name of the embedding model.")
    path: str | None = Field(
        default=None, description="Folder with the model's ONNX file and tokenizer, if it has one."
    )
    pooling: Pooling | None = Field(
        default=None, description="How token vectors become one, where the model's folder does not say it."
    )
    dimensions: int | None = Field(
        default=None, ge=1, description="Length of the vectors, where the model does not say it or offers a choice."
    )
    query_prefix: str | None = Field(
        default=None, description="Text before every question; by default what the model is known to be trained with."
    )
    passage_prefix: str | None = Field(
        default=None, description="Text before every passage; by default what the model is known to be trained with."
    )
    processes: int | None = Field(default=None, ge=1, description="Parallel workers; all cores by default.")
    base_url: Annotated[str, AfterValidator(open_address)] | None = Field(
        default=None, description="Address of the service; OPENAI_BASE_URL by default, else OpenAI itself."
    )
    send_dimensions: bool = Field(
        default=False, description="Whether a service is asked for that length; OpenAI is where it is needed."
    )
    revision: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="A new word here names another model behind the same name, as after a service changed it.",
    )
    batch_texts: int = Field(default=256, ge=2, le=2048, description="Texts of a request, at most.")
    batch_tokens: int = Field(default=100_000, ge=1000, le=300_000, description="Tokens of a request, at most.")
    requests_at_once: int = Field(default=8, ge=1, le=256, description="Requests under way, at most.")
    request_seconds: float = Field(default=60, gt=0, le=600, description="Seconds that a request may take, at most.")
    give_up_seconds: float = Field(
        default=300, gt=0, le=86_400, description="Seconds of waiting without a usable answer that end a run."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_known_prefixes(cls, values: Any) -> Any:
        """Write the prefixes out, so that whoever keeps these settings keeps them, whatever is known later."""
        if not isinstance(values, dict):
            return values
        if values.get("path") is not None and "model" not in values:
            raise ValueError("a path needs the name of its model; add: model")
        model = values.get("model", cls.model_fields["model"].default)
        known = known_prefixes(model) if isinstance(model, str) else Prefixes()
        written = {"query_prefix": known.query, "passage_prefix": known.passage}
        return written | {key: value for key, value in values.items() if key not in written or value is not None}


DECIDES = (
    *("provider", "model", "path", "pooling", "dimensions", "query_prefix", "passage_prefix"),
    *("revision", "base_url", "send_dimensions"),
)
"""Keys of `Embedding` that decide vectors, of passages or of questions, or where they come from; the others decide how
fast they come."""


_Dollars = Annotated[Decimal, Field(ge=0)]


class Budget(Section):
    """What models may cost; a run stops before it passes a bound."""

    per_run_usd: _Dollars | None = Field(
        default=None, description="Dollars that one run, the refresh of one source, may spend; no bound by default."
    )
    per_month_usd: _Dollars | None = Field(
        default=None, description="Dollars that all runs of a calendar month (UTC) may spend; no bound by default."
    )
    prices: dict[str, _Dollars] = Field(
        default_factory=dict,
        description="Dollars per million tokens by the name of the model, where the packaged list is silent or wrong.",
    )


class Chunking(Section):
    """How documents become sections and chunks; part of the recipe."""

    max_tokens: int = Field(default=200, ge=32, le=480, description="Tokens of a chunk's own text, at most.")
    window_tokens: int = Field(
        800, ge=64, le=8000, description="Tokens of a section, the window given to the model, at most."
    )


class Keywords(Section):
    """How words are read; part of the recipe."""

    language: str = Field(
        default="english",
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Text-search configuration of Postgres for documents that do not declare a language.",
    )


class Retrieval(Section):
    """How a search goes from a question to hits; not part of the recipe, so a change holds at once."""

    candidates: int = Field(default=50, ge=1, le=1000, description="What each of the two searches brings, at most.")
    fusion: Literal["convex", "reciprocal_rank"] = Field(
        default="convex", description="'convex' adds normalised scores, 'reciprocal_rank' reciprocal ranks."
    )
    vector_weight: float = Field(
        default=0.65,
        ge=0,
        le=1,
        description="Weight of the vector search in the fusion; the keyword search has the rest.",
    )
    exact_up_to: int = Field(
        default=50_000,
        ge=1,
        le=2_000_000,
        description="Up to this many visible chunks vectors are compared one by one.",
    )
    rerank: bool = Field(
        default=False, description="Whether a cross-encoder re-ranks unless the question says otherwise."
    )
    rerank_model: str = Field(
        default="cross-encoder/ms-marco-MiniLM-L-12-v2",
        description="Cross-encoder: packaged, fastembed's, or a folder.",
    )
    rerank_url: str | None = Field(default=None, description="A service with the common /rerank API, instead.")
    rerank_key_env: str = Field(
        default="RERANK_API_KEY", description="Environment variable that holds the service's key, if it wants one."
    )
    rerank_weight: float = Field(
        default=0.25,
        ge=0,
        description="Weight of its score beside the fused one; large: it alone decides.",
    )
    rerank_depth: int = Field(default=50, ge=1, le=1000, description="How many candidates are re-ranked, at most.")
    rerank_seconds: float = Field(
        default=5, gt=0, le=600, description="Seconds that re-ranking may take; after that the fused order stands."
    )
    per_document: int = Field(default=3, ge=1, description="Hits of one document, at most.")
    duplicate_similarity: float = Field(
        default=0.8, gt=0, le=1, description="Share of common word sequences from which a text is a near-duplicate."
    )


class Parsing(Section):
    """What one document may cost; above that it is quarantined."""

    seconds: float = Field(default=60, gt=0, le=3600, description="Seconds that one document may take, at most.")
    memory_mb: int = Field(default=1024, ge=128, description="Memory of a parser process, in MB, at most.")
    processes: int | None = Field(default=None, ge=1, description="Parser processes; all cores by default.")
    max_chunks: int = Field(default=100_000, ge=1, description="Chunks that one document may make, at most.")


class Guards(Section):
    """What is withheld until a person approves it."""

    max_deletions: float = Field(
        0.10, ge=0, le=1, description="Share of a source's documents that one refresh may remove."
    )
    max_widenings: float = Field(default=0.10, ge=0, le=1, description="Share whose access one refresh may widen.")
    min_documents: int = Field(default=10, ge=0, description="Up to this many documents the shares do not apply.")


def _principals(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({principal(name) for name in names}))


_PLACES = ("path", "repository", "url", "url_env")
"""Settings that say where a source is, in the order in which they are looked for."""

Principals = Annotated[tuple[str, ...], AfterValidator(_principals)]


class SourceSettings(Section):
    """What every kind of source understands."""

    type: Any = Field(description="Kind of source; each kind narrows it to its own name.")
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Name of the source: lower case, unique.")
    access: Principals = Field(default=(), description="Principals who may read; without it: nobody.")
    deny: Principals = Field(default=(), description="Principals who may not, even when a list above admits them.")
    include: tuple[str, ...] = Field(default=("**/*",), description="Globs of the paths to index.")
    exclude: tuple[str, ...] = Field(default=(), description="Globs of the paths to leave out; stronger than include.")
    guards: Guards = Field(
        default_factory=lambda: Guards.model_validate({}), description="Limits on deletions and widenings."
    )
    stale_after_minutes: int = Field(default=180, ge=2, description="Age at which the source counts as stale.")
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,}$",
        description="Language of documents that do not declare theirs: a name or ISO code, such as german or de.",
    )

    @property
    def place(self) -> str:
        """Where the documents are, for people to read; never with a secret."""
        return str(next((value for name in _PLACES if (value := getattr(self, name, None))), ""))

    @property
    def default_access(self) -> Access:
        """Who may read a document that says nothing else."""
        return Access.of(self.access, self.deny)
