"""The verbs of membership: who belongs to which group, for callers who do not bring their groups along."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.failures import WRONG_DATA
from rag_pipeline.cli.options import as_json, load_settings
from rag_pipeline.cli.output import print_json, print_notes, print_table, printable
from rag_pipeline.cli.session import prepared_session
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import PermanentError
from rag_pipeline.model import PUBLIC, principal

if TYPE_CHECKING:
    from psycopg import Connection


class Principal(click.ParamType):
    """A principal in its canonical spelling, save those named in `refused`, by name or by kind."""

    name = "principal"

    def __init__(self, **refused: str) -> None:
        self._refused = refused

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the principal."""
        try:
            name = principal(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if reason := self._refused.get(name.partition(":")[0]):
            self.fail(f"{name} {reason}", param, ctx)
        return name


_EVERYONE = "is everyone already; name a group and who belongs to it"
_GROUP = Principal(public=_EVERYONE, user="is a person; the group comes first, then its members")
_MEMBER = Principal(public=_EVERYONE)


@click.group(invoke_without_command=True, short_help="Say who belongs to which group.")
@as_json
@click.pass_context
def members(ctx: click.Context, as_json: bool) -> None:
    """List who is a member of which group, or change it with one of the commands below.

    A caller is also every group that one of their principals is in, through any number of groups.
    """
    if ctx.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"write --json behind the command: members {ctx.invoked_subcommand} … --json")
        return
    with prepared_session(load_settings()) as connection:
        rows = connection.execute(statements("members")["members"]).fetchall()
    if as_json:
        print_json({"members": rows})
    elif rows:
        print_table(rows, {"group": "group", "member": "member"})
    else:
        click.echo("no group has members here; give it some: rag-pipeline members add GROUP PRINCIPAL…")


@members.command(short_help="Make principals members of a group.")
@click.argument("group", type=_GROUP)
@click.argument("principals", metavar="PRINCIPAL...", type=_MEMBER, nargs=-1, required=True)
@as_json
def add(group: str, principals: tuple[str, ...], as_json: bool) -> None:
    """Make each PRINCIPAL a member of GROUP: all of them, or none when one would make a group a member of itself."""
    from psycopg import errors

    with prepared_session(load_settings()) as connection:
        try:
            added = _changed(connection, "add_members", group, principals)
        except errors.IntegrityConstraintViolation as error:
            said = error.diag
            raise PermanentError(f"{said.message_primary}: {said.message_detail} {said.message_hint}") from error
    already = sorted(set(principals) - set(added))
    if as_json:
        print_json({"group": group, "added": added, "already": already})
    else:
        click.echo(f"{printable(group)}: {len(added)} added{f', {len(already)} already there' if already else ''}")


@members.command(short_help="Take principals out of a group.")
@click.argument("group", type=_GROUP)
@click.argument("principals", metavar="PRINCIPAL...", type=_MEMBER, nargs=-1, required=True)
@as_json
def remove(group: str, principals: tuple[str, ...], as_json: bool) -> None:
    """Take each PRINCIPAL out of GROUP. Exit 1 when one of them was no direct member; the others are out then."""
    with prepared_session(load_settings()) as connection:
        removed = _changed(connection, "remove_members", group, principals)
    missing = sorted(set(principals) - set(removed))
    if as_json:
        print_json({"group": group, "removed": removed, "missing": missing})
    else:
        click.echo(f"{printable(group)}: {len(removed)} removed")
        print_notes(
            f"{name}: was no direct member of {group}; see what it is in: rag-pipeline members of {name}"
            for name in missing
        )
    raise SystemExit(WRONG_DATA if missing else 0)


@members.command(short_help="Show all that a principal is.")
@click.argument("name", metavar="PRINCIPAL", type=Principal())
@as_json
def of(name: str, as_json: bool) -> None:
    """List all principals that a caller is who is PRINCIPAL: itself, public, and the groups that it is in."""
    with prepared_session(load_settings()) as connection:
        found = connection.execute(statements("members")["effective_principals"], {"principal": name})
        principals = [row["principal"] for row in found]
    if as_json:
        print_json({"principal": name, "principals": principals})
    else:
        for each in sorted(principals, key=lambda each: (each != name, each != PUBLIC, each)):
            click.echo(printable(each))


def _changed(connection: "Connection[dict[str, Any]]", query: str, group: str, principals: Sequence[str]) -> list[str]:
    """Run a change of a group's members, all of it or nothing, and return who was affected."""
    distinct = {"group": group, "members": sorted(set(principals))}
    return sorted(row["member"] for row in connection.execute(statements("members")[query], distinct).fetchall())
