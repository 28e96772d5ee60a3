"""JMESPath in a mapping: compiled once, of bounded cost, with errors that repeat no value.

Source: https://jmespath.org/specification.html. Four functions are ours. `header('x-event')` and,
where a body holds several events, `body('account.id')` are for values outside the event: they
return text of up to 512 characters, a number or a truth value, otherwise null; their argument must
be a literal, so that the value can be stored with an event that is refused. `address(from)` is the
address in `Ada <ada@example.com>`. `digest([at, url])` is an id of some content: the same for the
same, and nobody can read the content in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, cast

import jmespath
from jmespath import exceptions, functions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter
from pydantic import BeforeValidator

from ingest.connectors.mapped.expression_analysis import (
    Node,
    Path,
    children,
    copies,
    depth,
    nodes,
    read_paths,
    whole_path,
)
from ingest.kit.fields import LABEL_LENGTH, derived_id
from ingest.kit.mail_addresses import address

MAX_LENGTH = 2000
MAX_DEPTH = 60
MAX_COPIES = 16
#: Visits of a node that one event may cost: far more than an event of the largest size needs.
MAX_STEPS = 250_000
#: Characters or elements that a function may produce for one step.
_PER_STEP = 64


class ExpressionError(ValueError):
    """An expression cannot be evaluated for this event. The message repeats no value of it."""


class TooMuchWorkError(ExpressionError):
    """The expressions have used up the steps that one event may cost."""

    def __init__(self) -> None:
        super().__init__("takes too much work for this event")


class Expression:
    """A compiled expression."""

    __slots__ = ("_node", "bodies", "headers", "path", "reads")

    def __init__(self, text: str) -> None:
        """Compile the text. Raises ValueError with a reason that does not repeat the expression."""
        self._node = _parsed(text)
        _check(self._node)
        #: The path, if the expression is nothing but a path.
        self.path = whole_path(self._node)
        #: Paths of the event whose values it uses as they are.
        self.reads = frozenset(read_paths(self._node))
        #: The headers, and the paths of the body, that it reads.
        self.headers = frozenset(name.lower() for name in _asked(self._node, "header"))
        self.bodies = frozenset(map(_field_path, _asked(self._node, "body")))

    @property
    def node(self) -> Node:
        """The parsed tree."""
        return self._node

    def search(self, value: Any, scope: Scope) -> Any:
        """Return its value for an event. Raises ExpressionError; RecursionError for deep events."""
        if self.path is None:
            return scope.evaluate(self._node, value)
        return at(value, self.path)


def compiled(text: object) -> Expression:
    """Compile a configured value; raises ValueError."""
    if isinstance(text, Expression):
        return text
    if not isinstance(text, str):
        raise ValueError("must be a JMESPath expression, written as text")
    return Expression(text)


Compiled = Annotated[Expression, BeforeValidator(compiled)]


def at(value: Any, path: Path) -> Any:
    """Return the value at a path, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def holds(value: object) -> bool:
    """Return True if JMESPath treats a value as true: all but null, false and empty values."""
    return value is not None and value is not False and value not in ("", [], {})


class Scope:
    """The state that the expressions of one request share. `next_event` renews the steps."""

    def __init__(self, headers: Mapping[str, str], body: Any) -> None:
        self._interpreter = _Interpreter(_Functions(headers, body))

    def next_event(self) -> None:
        """Begin an event: renew the steps."""
        self._interpreter.budget.left = MAX_STEPS

    def evaluate(self, node: Node, value: Any) -> Any:
        """Return the value of a tree. Raises ExpressionError."""
        try:
            return self._interpreter.visit(node, value)
        except exceptions.JMESPathTypeError as error:
            raise ExpressionError(_mismatch(error)) from None
        except ExpressionError:
            raise
        # The library compares and adds whatever it is given, and Python then raises any of these.
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
            raise ExpressionError("cannot be computed from this event") from None


class _Budget:
    """The steps that are left for an event."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooMuchWorkError


class _Functions(functions.Functions):
    """The functions of JMESPath and ours."""

    def __init__(self, headers: Mapping[str, str], body: Any) -> None:
        self._headers = headers
        self._body = body
        self.budget = _Budget()

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        if function_name == "join" and isinstance(resolved_args[1], list):
            # The only function whose result may be far longer than what it is given.
            self.budget.spend(len(str(resolved_args[0])) * len(resolved_args[1]) // _PER_STEP)
        result = super().call_function(function_name, resolved_args)
        if isinstance(result, str | list | dict):
            self.budget.spend(len(result) // _PER_STEP)
        return result

    @functions.signature({"types": ["string"]})
    def _func_header(self, name: str) -> object:
        return scalar(self._headers.get(name.lower()))

    @functions.signature({"types": []})
    def _func_digest(self, value: Any) -> str:
        return derived_id({"": value})

    @functions.signature({"types": ["string", "null"]})
    def _func_address(self, text: str | None) -> str | None:
        return address(text)

    @functions.signature({"types": ["string"]})
    def _func_body(self, path: str) -> object:
        return scalar(at(self._body, _field_path(path)))


class _Interpreter(TreeInterpreter):
    """The library's interpreter, which stops when the work of an event is too much."""

    def __init__(self, functions: _Functions) -> None:
        super().__init__(Options(custom_functions=functions))
        self.budget = functions.budget
        self._methods: dict[str, Callable[..., Any]] = {}

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.budget.left -= 1
        if self.budget.left < 0:
            raise TooMuchWorkError
        kind = node["type"]
        method = self._methods.get(kind)
        if method is None:
            method = self._methods[kind] = getattr(self, f"visit_{kind}")
        return method(node, *args, **kwargs)


def scalar(value: object) -> object:
    """Return a value of a header or the body if it is short text, a number or a truth value."""
    if isinstance(value, str):
        return value if len(value) <= LABEL_LENGTH else None
    return value if isinstance(value, bool | int | float) else None


@lru_cache(maxsize=1024)
def _field_path(text: str) -> Path:
    """Return the path in `body('a.b')`; raises ValueError."""
    path = whole_path(_parsed(text))
    if not path:
        raise ValueError("body() takes a path of fields, for instance body('account.id')")
    return path


def _parsed(text: str) -> Node:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    try:
        result: ParsedResult = jmespath.compile(text)
    except exceptions.EmptyExpressionError:
        raise ValueError("is empty") from None
    except exceptions.ParseError as error:
        # Errors of the lexer are of this class too.
        position = error.lex_position
        if position >= len(text):
            raise ValueError(f"{_NO_JMESPATH}: it ends too early") from None
        raise ValueError(f"{_NO_JMESPATH} at character {position + 1}{_HINT}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    # The lexer reads the numbers and names in it.
    except (ValueError, LookupError):
        raise ValueError(_NO_JMESPATH) from None
    return cast(Node, result.parsed)


#: Nodes whose first child is what comes before a dot or a bracket.
_GOING_ON = frozenset({"subexpression", "value_projection", "filter_projection", "flatten"})
#: A name without a - at its end, which in `reads` would stand for many.
_HEADER = re.compile(r"[\w-]*\w", re.ASCII)
_NO_JMESPATH = "is no JMESPath expression"
_HINT = (
    ' (a name with other characters than letters, digits and _ stands in "double quotes", '
    "text in 'single quotes')"
)


def _check(root: Node) -> None:
    """Raise ValueError for errors that the library would only find when the expression is used."""
    if depth(root) > MAX_DEPTH:
        raise ValueError("is nested too deeply")
    for node in nodes(root):
        if node["type"] == "function_expression":
            _check_call(node)
        elif node["type"] == "slice" and node["children"][2] == 0:
            raise ValueError("a slice cannot go on in steps of 0")
        else:
            below = children(node)
            _check_references(node, below, frozenset())
            if node["type"] in _GOING_ON and below[0]["type"] == "not_expression":
                raise ValueError("! is of the one name behind it; of a path write !(a.b)")
    if root["type"] == "expref":
        raise ValueError("& stands only before an argument of a function")
    if copies(root) > MAX_COPIES:
        raise ValueError(f"repeats a part of the event more than {MAX_COPIES} times")


def _check_call(node: Node) -> None:
    name, arguments = node["value"], node["children"]
    spec = _Functions.FUNCTION_TABLE.get(name)
    if spec is None:
        raise ValueError(f"there is no function {name}()")
    expected = spec["signature"]
    variadic = bool(expected) and expected[-1].get("variadic", False)
    if len(arguments) < len(expected) or (len(arguments) > len(expected) and not variadic):
        least = "at least " if variadic else ""
        count = f"{len(expected)} argument" + ("" if len(expected) == 1 else "s")
        raise ValueError(f"{name}() takes {least}{count}")
    by_reference = {i for i, one in enumerate(expected) if one["types"] == ["expref"]}
    if any(arguments[i]["type"] != "expref" for i in by_reference):
        raise ValueError(f"{name}() takes an expression with & before it")
    _check_references(node, arguments, frozenset(by_reference))
    if name in ("header", "body"):
        (asked,) = arguments
        if asked["type"] != "literal" or not isinstance(asked["value"], str):
            raise ValueError(f"{name}() takes a name in single quotes, written out")
        if name == "header" and not _HEADER.fullmatch(asked["value"]):
            raise ValueError("header() takes the name of one header")


def _check_references(node: Node, below: list[Node], allowed: frozenset[int]) -> None:
    if any(one["type"] == "expref" and i not in allowed for i, one in enumerate(below)):
        raise ValueError("& stands only before an argument of a function that takes one")


def _asked(root: Node, function: str) -> list[str]:
    return [
        node["children"][0]["value"]
        for node in nodes(root)
        if node["type"] == "function_expression" and node["value"] == function
    ]


def _mismatch(error: exceptions.JMESPathTypeError) -> str:
    given = functions.TYPES_MAP.get(error.actual_type, error.actual_type)
    expected = " or ".join(name.replace("-", " of ") for name in error.expected_types)
    return f"{error.function_name}() was given {given}, it takes {expected}"
