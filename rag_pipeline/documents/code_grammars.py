"""What the node types of each grammar mean here: one table a language, and nothing else knows a language's words.

A grammar wheel is imported when the first document of its language comes. A node type that a table names and
the grammar lacks is an error at that moment, so that a new release of a grammar cannot quietly lose a rule.
"""

import importlib
from dataclasses import dataclass
from functools import cache

from tree_sitter import Language, Query


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


@dataclass(frozen=True, slots=True)
class Grammar:
    """The roles of node types.

    `scopes` are definitions that hold definitions: classes, modules. `leaves` are kept whole: functions, enums.
    Both need a body, save the `bodiless`. `values` are either, once something assigns them a name.
    `wrappers` belong to the one definition inside them (decorators, ``export``, ``template``, an assignment).
    `transparent` nodes hold code of the level around them, such as ``#ifdef`` or ``if TYPE_CHECKING``.
    `bodies` are the lists, of statements or else of elements, between whose members code may be cut.
    `leads` stay with what follows: comments, attributes. `labels` (``public:``) never make a stretch of their own, and
    `tails` (a heredoc's text) stay with what precedes. `indented`: a body ends where the indentation does.
    """

    leaves: frozenset[str]
    bodies: frozenset[str]
    scopes: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    bodiless: frozenset[str] = frozenset()
    transparent: frozenset[str] = frozenset()
    leads: frozenset[str] = frozenset({"comment"})
    labels: frozenset[str] = frozenset()
    tails: frozenset[str] = frozenset()
    indented: bool = False

    @property
    def all_types(self) -> frozenset[str]:
        """Every node type that the table names."""
        definitions = self.scopes | self.leaves | self.values | self.bodiless
        return definitions | self.wrappers | self.transparent | self.bodies | self.leads | self.labels | self.tails


_PYTHON = Grammar(
    scopes=_types("class_definition"),
    leaves=_types("function_definition"),
    wrappers=_types("decorated_definition"),
    transparent=_types(
        "if_statement elif_clause else_clause try_statement except_clause finally_clause with_statement "
        "for_statement while_statement match_statement case_clause block"
    ),
    bodies=_types("module block list dictionary tuple set argument_list"),
    indented=True,
)
_ECMASCRIPT = Grammar(
    scopes=_types("class_declaration class"),
    leaves=_types("function_declaration generator_function_declaration method_definition"),
    values=_types("arrow_function function_expression generator_function class"),
    wrappers=_types(
        "export_statement lexical_declaration variable_declaration variable_declarator expression_statement "
        "assignment_expression"
    ),
    transparent=_types(
        "statement_block if_statement else_clause try_statement catch_clause finally_clause for_statement "
        "for_in_statement while_statement labeled_statement expression_statement call_expression "
        "parenthesized_expression arguments arrow_function function_expression unary_expression"
    ),
    bodies=_types("program statement_block class_body switch_body switch_case switch_default object array arguments"),
)
_JAVASCRIPT = Grammar(
    scopes=_ECMASCRIPT.scopes,
    leaves=_ECMASCRIPT.leaves,
    values=_ECMASCRIPT.values,
    wrappers=_ECMASCRIPT.wrappers | _types("field_definition"),
    transparent=_ECMASCRIPT.transparent,
    bodies=_ECMASCRIPT.bodies,
    leads=_types("comment decorator"),
)
_TYPESCRIPT = Grammar(
    scopes=_ECMASCRIPT.scopes | _types("abstract_class_declaration interface_declaration internal_module module"),
    leaves=_ECMASCRIPT.leaves | _types("enum_declaration function_signature"),
    values=_ECMASCRIPT.values,
    bodiless=_types("function_signature"),
    wrappers=_ECMASCRIPT.wrappers | _types("ambient_declaration public_field_definition"),
    transparent=_ECMASCRIPT.transparent | _types("ambient_declaration"),
    bodies=_ECMASCRIPT.bodies | _types("interface_body enum_body object_type"),
    leads=_types("comment decorator"),
    labels=_types("method_signature"),
)
_GO = Grammar(
    leaves=_types("function_declaration method_declaration"),
    values=_types("struct_type interface_type"),
    bodiless=_types("function_declaration method_declaration struct_type interface_type"),
    wrappers=_types("type_declaration type_spec"),
    transparent=_types("type_declaration"),
    bodies=_types(
        "source_file statement_list expression_case default_case type_case communication_case literal_value "
        "field_declaration_list interface_type import_spec_list argument_list"
    ),
)
_JAVA = Grammar(
    scopes=_types(
        "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration"
    ),
    leaves=_types("method_declaration constructor_declaration compact_constructor_declaration"),
    transparent=_types("enum_body_declarations"),
    bodies=_types(
        "program class_body interface_body enum_body enum_body_declarations annotation_type_body block "
        "constructor_body switch_block switch_block_statement_group array_initializer argument_list"
    ),
    leads=_types("line_comment block_comment"),
)
_RUST = Grammar(
    scopes=_types("impl_item trait_item mod_item"),
    leaves=_types("function_item struct_item union_item enum_item macro_definition"),
    bodiless=_types("struct_item macro_definition"),
    bodies=_types(
        "source_file block declaration_list field_declaration_list enum_variant_list match_block array_expression "
        "field_initializer_list arguments macro_definition"
    ),
    leads=_types("line_comment block_comment attribute_item"),
)
_C = Grammar(
    leaves=_types("function_definition struct_specifier union_specifier enum_specifier"),
    wrappers=_types("type_definition declaration"),
    transparent=_types("preproc_if preproc_ifdef preproc_else preproc_elif linkage_specification declaration_list"),
    bodies=_types(
        "translation_unit declaration_list compound_statement case_statement field_declaration_list enumerator_list "
        "initializer_list argument_list preproc_if preproc_ifdef preproc_else preproc_elif"
    ),
)
_CPP = Grammar(
    scopes=_types("namespace_definition class_specifier struct_specifier union_specifier"),
    leaves=_types("function_definition enum_specifier"),
    wrappers=_C.wrappers | _types("template_declaration field_declaration friend_declaration"),
    transparent=_C.transparent | _types("namespace_definition"),
    bodies=_C.bodies,
    labels=_types("access_specifier"),
)
_RUBY = Grammar(
    scopes=_types("class module"),
    leaves=_types("method singleton_method"),
    bodiless=_types("class module method singleton_method"),
    wrappers=_types("call argument_list"),
    transparent=_types("singleton_class body_statement call do_block block block_body assignment if unless then else"),
    bodies=_types("program body_statement block_body then else begin ensure do array hash argument_list case"),
    labels=_types("identifier"),
    tails=_types("heredoc_body"),
)
_BASH = Grammar(
    leaves=_types("function_definition"),
    transparent=_types("if_statement elif_clause else_clause"),
    bodies=_types("program compound_statement do_group if_statement elif_clause else_clause case_item subshell array"),
)
_SQL = Grammar(
    leaves=_types(
        _CREATES := (
            "create_table create_view create_materialized_view create_index create_function create_schema "
            "create_database create_role create_sequence create_extension create_trigger create_type create_policy "
            "create_procedure"
        )
    ),
    bodiless=_types(_CREATES),
    wrappers=_types("statement"),
    bodies=_types("program block column_definitions list"),
    leads=_types("comment marginalia"),
)

_GRAMMARS = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": _GO,
    "java": _JAVA,
    "rust": _RUST,
    "c": _C,
    "cpp": _CPP,
    "ruby": _RUBY,
    "bash": _BASH,
    "sql": _SQL,
}


@cache
def load(name: str) -> tuple[Language, Grammar, Query]:
    """Return a language, its table, and the query that captures each ``@body`` and each outermost-or-inner ``@error``.

    Raises `KeyError` for a language that has no table, `LookupError` for a table that its grammar does not bear out.
    """
    grammar = _GRAMMARS[name]
    wheel = importlib.import_module(f"tree_sitter_{'typescript' if name == 'tsx' else name}")
    language = Language(getattr(wheel, f"language_{name}" if name in ("tsx", "typescript") else "language")())
    if unknown := [kind for kind in sorted(grammar.all_types) if language.id_for_node_kind(kind, True) is None]:
        raise LookupError(f"the {name} grammar has no {', '.join(unknown)}; correct its table")
    bodies = " ".join(f"({kind})" for kind in sorted(grammar.bodies))
    return language, grammar, Query(language, f"[{bodies}] @body (ERROR) @error")
