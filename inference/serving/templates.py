"""Templates of prompts: Jinja2 cut down to what cannot loop, call, or look inside a value.

Guarantees: rendering takes time linear in the template and its variables, and gives at most
`MAX_RENDERED` characters; a name that is not declared is refused when it is compiled. Allowed:
variables, `if`, comparisons, joined texts and the filters of `FILTERS`, whose arguments are constants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2
import jinja2.sandbox
import orjson
from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

MAX_TEMPLATE = 32_000
MAX_RENDERED = 200_000
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If,
    nodes.CondExpr, nodes.Filter, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Concat,
)  # fmt: skip


class TemplateError(ValueError):
    """A template that breaks a rule, or whose text is too long; the message says which."""


def _truncate(text: object, length: int = 200) -> str:
    return str(text)[:length]


def _as_json(value: object) -> str:
    return orjson.dumps(value).decode()


def _default(text: object, other: object = "") -> object:
    return text or other


FILTERS: dict[str, Callable[..., object]] = {
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "title": lambda text: str(text).title(),
    "trim": lambda text: str(text).strip(),
    "default": _default,
    "truncate": _truncate,
    "tojson": _as_json,
}


def _environment() -> jinja2.sandbox.SandboxedEnvironment:
    # The sandbox stands behind the allow-list: neither is relied on alone.
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, cache_size=0
    )
    environment.filters = FILTERS
    environment.tests = {}
    environment.globals = {}
    return environment


_ENVIRONMENT = _environment()


class Template:
    """A text with variables, compiled."""

    def __init__(self, source: str, declared: Collection[str]) -> None:
        """Compile.

        Args:
            source: in Jinja2's syntax.
            declared: names of the variables that it may use.

        Raises:
            TemplateError: it breaks a rule.
        """
        if len(source) > MAX_TEMPLATE:
            raise TemplateError(f"characters == {len(source)}, must be at most {MAX_TEMPLATE}.")
        try:
            tree = _ENVIRONMENT.parse(source)
            self.names = frozenset(_check(tree, declared))
            self._template = _ENVIRONMENT.from_string(tree)
        except jinja2.TemplateError as error:
            raise TemplateError(f"line {getattr(error, 'lineno', 1)}: {error}.") from error
        except (
            RecursionError,
            MemoryError,
            SyntaxError,
        ) as error:  # nested beyond what Python compiles
            raise TemplateError("it is nested too deep.") from error

    def render(self, variables: Mapping[str, object]) -> str:
        """Return the text.

        Args:
            variables: every declared one.

        Raises:
            TemplateError: the text is too long, or a variable does not fit a filter.
        """
        parts, size = [], 0
        try:
            for part in self._template.generate(variables):
                size += len(part)
                if size > MAX_RENDERED:
                    raise TemplateError(f"characters == {size}, must be at most {MAX_RENDERED}.")
                parts.append(part)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise TemplateError(str(error)) from error
        return "".join(parts)


def _check(tree: nodes.Template, declared: Collection[str]) -> Iterator[str]:
    """Yield the names that a template uses.

    Raises:
        TemplateError: it has more than the allow-list, or a name that is not declared.
    """
    waiting: list[nodes.Node] = [tree]
    while waiting:  # no recursion: a template may be nested deeper than Python's stack
        node = waiting.pop()
        if not isinstance(node, _ALLOWED):
            kind = type(node).__name__
            raise TemplateError(
                f"line {node.lineno}: {kind}, must be a variable, if, a comparison or a filter."
            )
        if isinstance(node, nodes.Name):
            if node.name not in declared:
                raise TemplateError(
                    f"line {node.lineno}: variable '{node.name}', must be one of {sorted(declared)}."
                )
            yield node.name
        if isinstance(node, nodes.Filter):
            _check_filter(node)
        waiting.extend(node.iter_child_nodes())


def _check_filter(node: nodes.Filter) -> None:
    if node.name not in FILTERS:
        raise TemplateError(
            f"line {node.lineno}: filter '{node.name}', must be one of {sorted(FILTERS)}."
        )
    plain = all(isinstance(one, nodes.Const) for one in node.args) and not node.kwargs
    if not plain or node.dyn_args or node.dyn_kwargs:
        raise TemplateError(f"line {node.lineno}: arguments of '{node.name}' must be constants.")
