"""What schema `rag` offers is documented, in the database by comments and in docs/sql.md by name; its examples run."""

import re
from pathlib import Path

import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

DOCS = Path(__file__).resolve().parents[2] / "docs"
RELATIONS = """
    select relname, obj_description(pg_class.oid), array_agg(attname::text)
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where relnamespace = 'rag'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
    group by relname, pg_class.oid
"""
FUNCTIONS = """
    select proname, obj_description(oid), coalesce(proargnames, '{}')
    from pg_proc where pronamespace = 'rag'::regnamespace
"""
SQL_BLOCK = re.compile(r"^ *```sql\n(.*?)```", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    pytest.param(page, block, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, block in enumerate(SQL_BLOCK.findall(page.read_text("utf-8")))
]


@pytest.fixture
def objects(settings: Settings) -> dict[str, tuple[str | None, list[str]]]:
    """The comment and the columns, or parameters, of everything in schema `rag`."""
    with Pipeline(settings).connected() as connection:
        found = connection.execute(RELATIONS).fetchall() + connection.execute(FUNCTIONS).fetchall()
    return {name: (comment, names) for name, comment, names in found}


def sections() -> dict[str, str]:
    """The text of docs/sql.md about each object, by its name."""
    parts = re.split(r"^(?=##)", (DOCS / "sql.md").read_text("utf-8"), flags=re.MULTILINE)
    return {match[1]: part for part in parts if (match := re.match(r"### rag\.(\w+)\n", part))}


def test_everything_is_documented_with_its_columns(objects: dict[str, tuple[str | None, list[str]]]) -> None:
    documented = sections()
    assert documented.keys() == objects.keys()
    for name, (comment, columns) in objects.items():
        assert comment, f"rag.{name} needs a comment"
        missing = [column for column in columns if f"`{column}`" not in documented[name]]
        assert not missing, f"docs/sql.md, rag.{name}: {missing}"


@pytest.mark.parametrize(("page", "block"), EXAMPLES)
def test_examples_run(page: Path, block: str, settings: Settings) -> None:
    _ = Pipeline(settings).generation
    with connect(settings, role=None) as administrator, administrator.transaction(force_rollback=True):
        administrator.execute(block.encode())
