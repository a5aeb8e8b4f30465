"""Read the file: each error names line, column, field and rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from bakeoff.config_file.document import ConfigDocument
from bakeoff.rule_sentences import sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = (
    1_000_000  # an alias counts as often as it is used, so that a small file cannot be a large one
)
MAX_DEPTH = 60
MAX_ROUNDS = 8  # of leaving out what is wrong: a variant, then its list, then what needs it
_NOTHING = object()
TAGS = frozenset({"map", "seq", "null", "bool", "int", "float", "str", "timestamp"})
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the file that breaks a rule.

    Attributes:
        path: of the field: keys and places.
        message: the rule.
        line: in the file, from 1.
        column: in the line, from 1.
    """

    path: Path
    message: str
    line: int
    column: int

    def __str__(self) -> str:
        where = ".".join(map(str, self.path))
        return f"{self.line}:{self.column}: {f'{where}: ' if where else ''}{self.message}"


class FileFaultsError(Exception):
    """A file that breaks rules.

    Attributes:
        faults: each of them, in the order of the file.
        rest: what can be read of it; None where nothing can.
        left_out: the fields of the file that `rest` lacks.
    """

    def __init__(
        self, faults: list[Fault], rest: ConfigFile | None = None, left_out: Sequence[Path] = ()
    ) -> None:
        """Keep them in the order of the file."""
        self.faults = sorted(faults, key=lambda one: (one.line, one.column))
        self.rest, self.left_out = rest, left_out
        super().__init__("\n".join(map(str, self.faults)))


@dataclass
class ConfigFile:
    """A file that was read.

    Attributes:
        document: its content.
        marks: line and column of each field.
    """

    document: ConfigDocument
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def fault(self, path: Path, message: str) -> Fault:
        """Return a fault at a field, or at the nearest one around it that the file has."""
        return _fault(self.marks, path, message)


def read_config(text: str) -> ConfigFile:
    """Read a file.

    Raises:
        FileFaultsError: it is no YAML, or breaks a rule of the document.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise FileFaultsError([Fault((), f"file has more than {MAX_BYTES} bytes.", 1, 1)])
    reader = _Reader()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = {} if node is None else reader.read(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise FileFaultsError([Fault((), f"no YAML: {error.problem}.", line, column)]) from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise FileFaultsError([Fault((), f"no YAML: {str(error).splitlines()[0]}.", 1, 1)]) from error
    except RecursionError as error:
        raise FileFaultsError([Fault((), "nested too deeply.", 1, 1)]) from error
    try:
        document = ConfigDocument.model_validate(values)
    except ValidationError as error:
        raise _refused(values, error, reader.marks) from error
    return ConfigFile(document, reader.marks)


class _Reader:
    """Turns nodes into plain values and notes where each stands."""

    def __init__(self) -> None:
        self.marks: dict[Path, tuple[int, int]] = {}
        self._nodes = 0
        self._construct = yaml.SafeLoader("")

    def read(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of a node, which stands at a path."""
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._problem(node, "larger or nested deeper than a configuration can be")
        if node.tag.removeprefix("tag:yaml.org,2002:") not in TAGS:
            raise self._problem(node, f"tag {node.tag[:80]} is not allowed")
        self.marks.setdefault(path, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(one, (*path, number)) for number, one in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._problem(key_node, "a key must be a text")
            key = str(key_node.value)  # as it is written: `on` and `404` are keys, no values
            if key in values:
                raise self._problem(key_node, f"key '{key[:80]}' stands here twice")
            self.marks[*path, key] = _place(key_node)
            values[key] = self.read(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value  # a date is a text here, as in JSON
        try:
            return self._construct.construct_object(node)
        except ValueError as error:
            raise self._problem(node, f"{node.value[:80]!r} cannot be read") from error

    @staticmethod
    def _problem(node: yaml.Node, message: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=message, problem_mark=node.start_mark)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _refused(
    values: Any, error: ValidationError, marks: dict[Path, tuple[int, int]]
) -> FileFaultsError:
    """Return what is wrong with a file's shape, and the file without it."""
    faults = [_invalid(marks, one) for one in error.errors(include_url=False)]
    left_out: list[Path] = []
    for _ in range(MAX_ROUNDS):
        faulty = {_path(one) for one in error.errors(include_url=False)}
        # From the end, so that the places of a list stay right.
        left_out += [_leave_out(values, one) for one in sorted(faulty, key=_by_place, reverse=True)]
        try:
            rest = ConfigFile(ConfigDocument.model_validate(values), marks)
        except ValidationError as again:
            error = again
            faults += [one for fault in again.errors(include_url=False) for one in _short(marks, fault)]
        else:
            return FileFaultsError(faults, rest, left_out)
    return FileFaultsError(faults, None, left_out)


def _short(marks: dict[Path, tuple[int, int]], error: Any) -> Iterator[Fault]:
    """Yield the fault of a list that was too short before entries of it were left out.

    pydantic counts a list's entries only once each of them is right.
    """
    path = _path(error)
    count = sum(one[:-1] == path and isinstance(one[-1], int) for one in marks if one)
    if error["type"] == "too_short" and count < error["ctx"]["min_length"]:
        counted = {**error, "ctx": {**error["ctx"], "actual_length": count}}
        yield _fault(marks, path, sentence_of(counted, _name(path)))


def _by_place(path: Path) -> list[str]:
    return [f"{part:09}" if isinstance(part, int) else part for part in path]


def _leave_out(values: Any, path: Path) -> Path:
    """Remove a field, or the nearest one around it that there is; return the whole field's path."""
    for length in range(len(path), 0, -1):
        around: Any = values
        for part in path[: length - 1]:
            around = _part(around, part)
        if _part(around, path[length - 1]) is not _NOTHING:
            del around[path[length - 1]]
            break
    places = [number for number, part in enumerate(path) if isinstance(part, int)]
    return path[: places[0]] if places and places[0] > 1 else path


def _part(around: Any, part: str | int) -> Any:
    if isinstance(around, dict):
        return around.get(part, _NOTHING)
    if isinstance(around, list) and isinstance(part, int) and part < len(around):
        return around[part]
    return _NOTHING


def _path(error: Any) -> Path:
    return tuple(part for part in error["loc"] if part != "[key]")


def _invalid(marks: dict[Path, tuple[int, int]], error: Any) -> Fault:
    """Return one of pydantic's errors as a fault."""
    path = _path(error)
    if error["type"] == "unknown_field":
        return _fault(marks, path, error["msg"])
    return _fault(marks, path, sentence_of(error, _name(path)))


def _name(path: Path) -> str:
    """Return a field's name; an entry of a list is called by the list's."""
    return str(next((part for part in reversed(path) if isinstance(part, str)), ""))


def _fault(marks: dict[Path, tuple[int, int]], path: Path, message: str) -> Fault:
    for length in range(len(path), -1, -1):
        if path[:length] in marks:
            return Fault(path, message, *marks[path[:length]])
    return Fault(path, message, 1, 1)
