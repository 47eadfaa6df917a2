"""The tables of a generation have a version, because views and functions are written for one."""

import hashlib
import re

from rag_pipeline.database.objects import LAYOUT
from rag_pipeline.database.statements import sql_folder

TABLES = re.compile(r"^(?:create table|alter table).*?;$", re.MULTILINE | re.DOTALL)
# A change that views, functions and statements of an older version could not live with is another layout.
KNOWN = {1: "7810639a0dc6fbe7"}


def test_other_tables_are_another_layout() -> None:
    text = re.sub(r"\s*--[^\n]*", "", (sql_folder() / "generation" / "schema.sql").read_text("utf-8"))
    tables = "\n".join(TABLES.findall(text))
    assert tables.count("create table") >= 8
    assert hashlib.sha256(tables.encode()).hexdigest()[:16] == KNOWN[LAYOUT]
