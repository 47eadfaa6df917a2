"""docutils, reduced to the structure of reStructuredText: a tree of sections, lists, tables and literal blocks.

Promises: none of docutils' directives, roles and transforms runs, so that nothing is included, fetched,
executed or configured from outside, and nothing is registered for anyone else. Every directive, known or not,
is read by one rule: arguments, options, content. Nesting is bounded, and time proportional to the text: where
docutils takes or searches all lines that are left, what is here looks at those that can matter.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

from docutils import frontend, nodes, utils
from docutils.parsers import rst
from docutils.parsers.rst import states
from docutils.statemachine import StringList

from rag_pipeline.documents import rst_directives as directives
from rag_pipeline.documents.rst_inline import plain
from rag_pipeline.documents.rst_lines import Lines
from rag_pipeline.errors import DocumentError

_MAX_NESTING = 50
_MAX_TABLE_WIDTH = 2000
_TAB = 8
_EDGE = re.compile(r" *[+|]")
_SUBSTITUTION = re.compile(r"\.\. +\|([^|]+)\|\s+(\w+)::(.*)", re.DOTALL)


def doctree(text: str) -> tuple[nodes.document, dict[str, str]]:
    """Return the tree of a canonical text, and the texts of its substitutions by name.

    A `nodes.container` stands for a directive; its ``label`` is to be read before its first words. Raises
    `DocumentError` when it is nested too deeply, or when docutils fails.
    """
    document = utils.new_document("", _settings())
    shared = _Shared()
    machine = states.RSTStateMachine(state_classes=_STATES, initial_state="Body")
    try:
        lines = Lines([line.expandtabs(_TAB).rstrip() for line in text.split("\n")])
        machine.run(lines, document, inliner=shared)
    except DocumentError:
        raise
    except Exception as error:  # whatever a hostile text makes docutils stumble over
        raise DocumentError(f"docutils cannot read it: {error!r:.200}; correct its markup") from error
    return document, shared.substitutions


@cache
def _settings() -> frontend.Values:
    """Docutils' own defaults; no configuration file is read."""
    settings = frontend.get_default_settings(rst.Parser())
    settings.file_insertion_enabled = settings.raw_enabled = settings.warning_stream = False
    settings.report_level = settings.halt_level = 5
    return settings


class _Shared(states.Inliner):
    """What all states of one parse have in common; as docutils' inline parser it takes the markup off."""

    def __init__(self) -> None:
        self.depth = 0
        self.machines: list[Any] = []
        self.list_machines: list[Any] = []
        self.substitutions: dict[str, str] = {}

    def init_customizations(self, settings: Any) -> None:
        """There is nothing to customise."""

    def parse(self, text: str, lineno: int, memo: Any, parent: nodes.Element) -> tuple[list[nodes.Node], list[Any]]:
        """Return the plain text as the only node."""
        return [nodes.Text(plain(text))], []


class _Reduced(states.RSTState):
    """What every state does differently from docutils' own."""

    inliner: Any
    state_machine: Any

    def __init__(self, state_machine: Any, debug: bool = False) -> None:
        super().__init__(state_machine, debug)
        self.nested_sm_kwargs = {"state_classes": _STATES, "initial_state": "Body"}

    def runtime_init(self) -> None:
        """Use idle machines of this parse only; docutils keeps one list for all."""
        super().runtime_init()
        self.nested_sm_cache = self.inliner.machines

    def nested_parse(self, block: Any, *args: Any, **kwargs: Any) -> Any:
        with self._deeper():
            return super().nested_parse(Lines(block), *args, **kwargs)

    def nested_list_parse(
        self,
        block: Any,
        input_offset: int,
        node: nodes.Element,
        initial_state: str,
        blank_finish: bool,
        blank_finish_state: str | None = None,
        extra_settings: Mapping[str, Any] = MappingProxyType({}),
        *_: Any,
        **__: Any,
    ) -> tuple[int, bool]:
        """Do what docutils does, but with an idle machine: making one costs more than a short list."""
        idle = self.inliner.list_machines
        machine: Any = idle.pop() if idle else self.nested_sm(**self.nested_sm_kwargs)
        machine.initial_state, machine.parent_state_machine = initial_state, self.state_machine
        machine.states[blank_finish_state or initial_state].blank_finish = blank_finish
        for name, value in extra_settings.items():
            setattr(machine.states[initial_state], name, value)
        with self._deeper():
            machine.run(block, input_offset, self.memo, node, False)
        idle.append(machine)
        return machine.abs_line_offset(), machine.states[blank_finish_state or initial_state].blank_finish

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        if self.inliner.depth >= _MAX_NESTING:
            raise DocumentError(f"nested more than {_MAX_NESTING} deep; flatten it")
        self.inliner.depth += 1
        yield
        self.inliner.depth -= 1


class _ReducedBody(_Reduced, states.Body):
    """What states that begin new structure do differently."""

    def explicit_construct(self, match: re.Match[str]) -> tuple[list[nodes.Node], bool]:
        """Dispatch what begins with two dots to this class's methods."""
        for method, pattern in self.explicit.constructs:
            if found := pattern.match(match.string):
                return getattr(self, method.__name__)(found)
        return self.comment(match)

    def comment(self, match: re.Match[str]) -> tuple[list[nodes.Node], bool]:
        """Pass over a comment; two dots alone are one, and what is indented below them is not."""
        if not match.string[match.end() :].strip() and self.state_machine.is_next_line_blank():
            return [], True
        *_, blank_finish = self.state_machine.get_first_known_indented(match.end())
        return [], blank_finish

    def footnote(self, match: re.Match[str]) -> tuple[list[nodes.Node], bool]:
        """Read a footnote or citation; nothing has to refer to it."""
        block, _, offset, blank_finish = self.state_machine.get_first_known_indented(match.end())
        node = nodes.footnote("", nodes.label("", match[1]))
        self.nested_parse(block, offset, node)
        return [node], blank_finish

    citation = footnote

    def block_quote(self, indented: Any, line_offset: int) -> list[nodes.Node]:
        """Read the quotes of an indented block; an attribution ends each but the last."""
        found: list[nodes.Node] = []
        rest: Any = Lines(indented)
        while rest:
            lines, attribution, at, rest, next_offset = self.split_attribution(rest, line_offset)
            quote = nodes.block_quote()
            self.nested_parse(lines, line_offset, quote)
            found.append(quote)
            if attribution:
                quote += self.parse_attribution(attribution, line_offset + at)[0]
            line_offset = next_offset
            while rest and not rest[0]:
                rest = rest[1:]
                line_offset += 1
        return found

    def isolate_grid_table(self) -> Any:
        """Find the lines of a table among those that begin as its lines do, and the one behind them."""
        machine, lines = self.state_machine, self.state_machine.input_lines
        end = next((i for i in range(machine.line_offset, len(lines)) if not _EDGE.match(lines[i])), len(lines))
        machine.input_lines = Lines(lines, 0, end + 1)
        try:
            return super().isolate_grid_table()
        finally:
            machine.input_lines = lines

    def malformed_table(self, block: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep the lines of what is no table after all; docutils changes those that it is given."""
        return super().malformed_table(StringList(list(block), ""), *args, **kwargs)

    def table(self, isolate_function: Any, parser_class: Any) -> tuple[list[nodes.Node], bool]:
        """Read a table; one so wide that docutils would take very long stays as it is written."""
        if len(self.state_machine.line) <= _MAX_TABLE_WIDTH:
            return super().table(isolate_function, parser_class)
        block = self.state_machine.get_text_block()
        return [nodes.literal_block("", "\n".join(block))], True

    def hyperlink_target(self, match: re.Match[str]) -> tuple[list[nodes.Node], bool]:
        """Pass over the target of a reference."""
        *_, blank_finish = self.state_machine.get_first_known_indented(match.end(), until_blank=True)
        return [], blank_finish

    def anonymous_target(self, match: re.Match[str]) -> tuple[list[nodes.Node], bool]:
        """Pass over the target of a reference without a name."""
        _, blank_finish = self.hyperlink_target(match)
        return [nodes.target()], blank_finish

    def substitution_def(self, match: re.Match[str]) -> tuple[list[nodes.Node], bool]:
        """Note the text of a substitution; what is neither text nor an image is kept as it stands."""
        block, *_, blank_finish = self.state_machine.get_first_known_indented(match.end(), strip_indent=False)
        source = match.string[: match.end()] + "\n".join(block)
        found = _SUBSTITUTION.match(source)
        if found is None:
            return [nodes.paragraph("", source)], blank_finish
        name, kind, value = found.groups()
        if kind == "unicode":
            value = directives.characters(value)
        elif kind == "image":
            value = directives.options([line.strip() for line in value.split("\n")]).get("alt", "")
        elif kind == "date":
            value = ""
        self.inliner.substitutions[" ".join(name.split())] = plain(" ".join(value.split()))
        return [], blank_finish

    def directive(self, match: re.Match[str], **_: Any) -> tuple[list[nodes.Node], bool]:
        """Read a directive of whatever name: arguments up to the first option, options, and content after a blank."""
        name = match[1].lower()
        block, _, offset, blank_finish = self.state_machine.get_first_known_indented(match.end(), strip_top=False)
        if block and not block[0].strip():
            block.trim_start()
        head = next((index for index, line in enumerate(block) if not line.strip()), len(block))
        first_option = next((index for index in range(head) if directives.OPTION.match(block[index])), head)
        options = directives.options(list(block[first_option:head]))
        arguments, content = block[:first_option], block[head:]
        treatment = directives.TREATMENT.get(name)
        if treatment == "invisible":
            return [], blank_finish
        container = nodes.container()
        container += [nodes.paragraph("", plain(options[key])) for key in ("caption", "alt") if options.get(key)]
        if treatment in ("code", "language, then code"):
            lines = arguments + content if treatment == "code" else content
            container += nodes.literal_block("", "\n".join(lines))
        elif name == "csv-table":
            container += nodes.paragraph("", plain("\n".join(arguments)))
            container += directives.csv_table(list(content), options)
        elif treatment in ("label", "content"):
            container["label"] = f"{name.capitalize()}: " if treatment == "label" else ""
            self.nested_parse(arguments + content, offset, container)
        else:
            words = " ".join(arguments)
            if name in directives.LABELS:
                version, _space, words = words.partition(" ")
                container["label"] = f"{directives.LABELS[name]} {version}: "
            if treatment != "hidden argument":
                container += nodes.paragraph("", plain(words))
            if name == "list-table":
                container["header"] = int(options.get("header-rows", "0") == "1")
            self.nested_parse(content, offset, container)
        return [container], blank_finish


_STATES: list[type[Any]] = [
    type(state.__name__, (_ReducedBody if issubclass(state, states.Body) else _Reduced, state), {})
    for state in states.state_classes
]
