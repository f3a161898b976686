"""Which polars expressions a stream takes, and their types, found when the plan is built. Pure.

Only row-wise ones: the result for a row may depend on that row alone, else it would change with the batch borders.
polars' own check accepts `x - x.mean()`, so the expression tree is held against a list of what is known to be row-wise,
and then tried on sample rows: all at once and one by one must agree. Tests: tests/dsl/test_type_errors.py.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from ..core.errors import PlanError
from ..core.formats.time_formats import has_year, without_year
from .naming import choices

ROW_WISE_NODES = frozenset({"Column", "Literal", "BinaryExpr", "Cast", "Ternary", "Alias", "Function", "Selector",
                            "KeepName", "RenameAlias", "Field"})  # fmt: skip
OPERANDS = {"BinaryExpr": ("left", "right"), "Ternary": ("predicate", "truthy", "falsy"), "Cast": ("expr",)}
ROW_WISE_FUNCTIONS = frozenset(
    [
        "Abs",
        "Negate",
        "FillNull",
        "Coalesce",
        "MaxHorizontal",
        "MinHorizontal",
        "SumHorizontal",
        "MeanHorizontal",
        "Round",
        "RoundSF",
        "RoundSigFigs",
        "Floor",
        "Ceil",
        "Sign",
        "Clip",
        "Pow",
        "Sqrt",
        "Cbrt",
        "Exp",
        "Log",
        "Log1p",
        "LogBase",
        "Trigonometry",
        "Atan2",
        "Replace",
        "ReplaceStrict",
        "AsStruct",
        "TemporalExpr",
        "BinaryExpr",
        "StringExpr",
        "StructExpr",
        "ListExpr",
        "ArrayExpr",
        "Boolean",
        "NullIf",
        "FillNan",
        "Truncate",
        "ConcatExpr",
        "Format",
    ]
)
NOT_ROW_WISE = frozenset(
    [
        "ConcatVertical",
        "Sample",
        "Any",
        "All",
        "IsFirstDistinct",
        "IsLastDistinct",
        "IsUnique",
        "IsDuplicated",
        "IsSorted",
        "Explode",
        "Implode",
        "Shuffle",
        "ToDecimal",
        "And",
        "Or",
        "Xor",
    ]
)
Failure = pl.exceptions.PolarsError
SAMPLES = 5
REPLACING = ("Replace", "ReplaceStrict")


def polars_frame(schema: pa.Schema) -> pl.DataFrame:
    """An empty frame with the columns of `schema`."""
    frame = pl.from_arrow(schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def arrow_schema(frame: pl.DataFrame) -> pa.Schema:
    """The Arrow types that the columns of a frame have in batches."""
    table = frame.clear().to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.schema([pa.field(field.name, field.type) for field in table.schema])


def check(where: str, expressions: Sequence[pl.Expr], schema: pa.Schema, *, keep: bool) -> pa.Schema:
    """The schema of rows after with_columns (keep) or select. Raises PlanError naming `where` and the remedy."""
    frame = polars_frame(schema)
    for expression in expressions:
        _check_row_wise(where, expression)
    try:
        result = frame.with_columns(*expressions) if keep else frame.select(*expressions)
    except pl.exceptions.ColumnNotFoundError as error:
        raise PlanError(f"{where}: {_unknown_column(expressions, schema, error)}") from error
    except pl.exceptions.DuplicateError as error:
        raise PlanError(
            f"{where}: two expressions give a column of one name; use .alias(): {_first_line(error)}"
        ) from error
    except Failure as error:
        spoken = ", ".join(str(expression) for expression in expressions)
        raise PlanError(
            f"{where}: {spoken} does not fit the columns {_spoken(schema)}: {_first_line(error)}"
        ) from error
    for expression in expressions:
        _try_on_samples(where, expression, schema)
    return arrow_schema(result)


def check_predicate(where: str, predicate: pl.Expr, schema: pa.Schema) -> None:
    """Raises PlanError unless `predicate` is row-wise and gives true or false."""
    result = check(where, [predicate.alias("predicate")], schema, keep=False)
    if not pa.types.is_boolean(result.field("predicate").type):
        raise PlanError(
            f"{where}: filter({predicate}) gives {result.field('predicate').type}, not true or false; "
            f"compare it with something, such as > 0 or .is_not_null()"
        )


def _check_row_wise(where: str, expression: pl.Expr) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.ComputeError, ValueError) as error:
        raise PlanError(
            f"{where}: {expression} holds a Python function, which cannot be checked; write it with polars expressions"
        ) from error
    for found in _not_row_wise(tree):
        raise PlanError(
            f"{where}: {expression} is not row-wise ({found}): its result would change with the way the input is cut "
            f"into batches; aggregate with group_by().window().aggregate() instead"
        )
    for time_format in _time_formats(tree):
        if not has_year(time_format):
            raise PlanError(f"{where}: {expression}: the format {time_format!r} {without_year(time_format)}")


def _time_formats(tree: Any) -> Iterator[str]:
    """The formats by which an expression reads dates and times of days; not those of times of day."""
    if isinstance(tree, dict):
        for node, inside in tree.items():
            if node == "Strptime" and inside[0] != {"Literal": "Time"}:
                yield inside[1]["format"]
            yield from _time_formats(inside)
    elif isinstance(tree, list):
        for part in tree:
            yield from _time_formats(part)


def _not_row_wise(tree: Any) -> Iterator[str]:
    """What in an expression is not row-wise. tree: as polars serialises it, {node: what is inside} or a node's name."""
    nodes: dict[str, Any] = tree if isinstance(tree, dict) else {tree: {}}
    for node, inside in nodes.items():
        if node not in ROW_WISE_NODES:
            yield node.lower()
        elif node == "Function":
            yield from _function_faults(inside["function"], inside["input"])
            for part in inside["input"]:
                yield from _not_row_wise(part)
        elif node == "Literal":
            if isinstance(inside, dict) and "Series" in inside:
                yield "a series; use a list"
        elif node in ("Alias", "KeepName", "RenameAlias"):
            yield from _not_row_wise(inside[0] if isinstance(inside, list) else inside.get("expr", inside))
        elif node in OPERANDS:
            for name in OPERANDS[node]:
                yield from _not_row_wise(inside[name])


def _function_faults(function: Any, inputs: Sequence[Any]) -> Iterator[str]:
    name = function if isinstance(function, str) else next(iter(function))
    inside = None if isinstance(function, str) else function[name]
    detail = inside if isinstance(inside, str) else next(iter(inside), "") if isinstance(inside, dict) else ""
    if name not in ROW_WISE_FUNCTIONS:
        yield name
    elif detail in NOT_ROW_WISE:
        yield f"{name} {detail}"
    elif detail == "Strptime" and '"format": null' in json.dumps(inside):
        yield "a date parsed without a format, which is guessed from the first row; give format="
    elif name in REPLACING and not all(isinstance(each, dict) and "Literal" in each for each in inputs[1:3]):
        yield f"{name} by the values of a column; give them as a dict"


def _try_on_samples(where: str, expression: pl.Expr, schema: pa.Schema) -> None:
    """Sample rows at once and one by one; what is_in() takes from another column is only found so.

    The columns that an expression reads differ in every row.
    """
    read = expression.meta.root_names()
    shifts = {name: index % SAMPLES for index, name in enumerate(dict.fromkeys([*read, *schema.names]))}
    samples = {field.name: _samples(field.type, shifts[field.name]) for field in schema}
    frame = pl.DataFrame(samples, schema=polars_frame(schema).schema)
    try:
        at_once = frame.with_columns(expression)
        one_by_one = pl.concat([frame[row : row + 1].with_columns(expression) for row in range(frame.height)])
    except Failure:
        return
    if not at_once.equals(one_by_one):
        raise PlanError(f"{where}: {expression} is not row-wise: rows together give another result than one by one")


def _samples(kind: pa.DataType, shift: int) -> list[Any]:
    values = _values(kind)
    return [*values[shift:], *values[:shift]]


def _values(kind: pa.DataType) -> list[Any]:
    if pa.types.is_boolean(kind):
        return [True, None, False, True, False]
    if pa.types.is_integer(kind):
        return [3, None, 1, 2, 3]
    if pa.types.is_floating(kind):
        return [2.5, None, 0.0, 1.25, 2.5]
    if pa.types.is_timestamp(kind):
        zone = UTC if kind.tz else None
        return [datetime(2026, 3, 29, hour, 30, tzinfo=zone) if hour else None for hour in (5, 0, 1, 2, 5)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ["b 2", None, "", "a", "b 2"]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [b"b", None, b"", b"a", b"b"]
    return [None] * SAMPLES


def _unknown_column(expressions: Sequence[pl.Expr], schema: pa.Schema, error: Exception) -> str:
    for expression in expressions:
        for name in expression.meta.root_names():
            if name not in schema.names:
                return f"there is no column {name!r}; {choices(name, schema.names)}"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def _spoken(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
