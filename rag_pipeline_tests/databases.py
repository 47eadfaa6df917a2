"""Databases of the tests' server."""

from typing import Any

from psycopg import Connection, sql


def copy_database(administrator: Connection[Any], template: str, name: str) -> None:
    """Make a database anew, as the template is."""
    database, source = sql.Identifier(name), sql.Identifier(template)
    administrator.execute(sql.SQL("drop database if exists {} with (force)").format(database))
    administrator.execute(sql.SQL("create database {} template {} strategy file_copy").format(database, source))
    # Rights on a database are not copied with it.
    administrator.execute(sql.SQL("grant create on database {} to rag_owner").format(database))
