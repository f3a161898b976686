"""JSON without declared types: every value arrives as it was, or as text of the same JSON; a bad row stands alone."""

import json
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.connect.converters.json import JsonConverter
from millstream.core.formats.api import DecodedColumns

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
NAMES = st.sampled_from(["a", "b", "c d", 'e"f', "", "ä"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)


def decoded(*values: bytes | None) -> DecodedColumns:
    return JsonConverter(None).decode(pa.array(list(values), pa.binary()))


def is_same(given_value: Any, found: Any, *, empty_is_null: bool = False) -> bool:
    """Whether a value of a document is what was found for it. empty_is_null: objects without members may be null."""
    inner = partial(is_same, empty_is_null=empty_is_null)
    if empty_is_null and given_value == {} and found is None:
        return True
    if isinstance(found, str) and not isinstance(given_value, str):
        return inner(given_value, json.loads(found))
    if isinstance(given_value, dict) and isinstance(found, dict):
        return all(inner(given_value.get(name), found.get(name)) for name in {*given_value, *found})
    if isinstance(given_value, list) and isinstance(found, list):
        return len(given_value) == len(found) and all(map(inner, given_value, found))
    if isinstance(given_value, int | float) and isinstance(found, int | float):
        return isinstance(given_value, bool) == isinstance(found, bool) and float(given_value) == float(found)
    return bool(given_value == found)


# The first batch of a process takes a second or two on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=some(100))
@given(st.lists(OBJECTS, min_size=1, max_size=5), st.booleans())
def test_every_value_arrives_whatever_others_are_of_its_field(documents: list[dict[str, Any]], bad: bool) -> None:
    """Numbers beside an object became null, true beside numbers became 1, and [1] beside 1 set all rows aside."""
    lines = [json.dumps(document).encode() for document in documents]

    result = decoded(*lines, *([b"oops"] if bad else []))

    assert result.rows.tolist() == list(range(len(documents)))
    assert [failure.row for failure in result.failures] == ([len(documents)] if bad else [])
    result.columns.validate(full=True)
    pairs = zip(documents, result.columns.to_pylist(), strict=True)
    assert [pair for pair in pairs if not is_same(*pair)] == []


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (b'{"a": "\xff"}', "not UTF-8: invalid start byte at byte 7"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON: maximum recursion depth exceeded"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "more than 50 objects and lists within each other"),
        (b'{"a": 1}{"a": 2}', "not JSON: JSON is malformed: trailing characters"),
        (b"", "empty value"),
        (b'["a"]', "not a JSON object"),
        (None, "null value"),
    ],
)
def test_a_hostile_value_is_set_aside_alone(bad: bytes | None, cause: str) -> None:
    """Bytes that are no UTF-8 and deep nesting ended the task, at every start anew."""
    result = decoded(b'{"a": 1}', bad, b'{"a": [2]}')

    assert [(failure.row, failure.cause.startswith(cause)) for failure in result.failures] == [(1, True)]
    assert result.columns.to_pylist() == [{"a": "1"}, {"a": "[2]"}]
    assert result.rows.tolist() == [0, 2]


@pytest.mark.parametrize("others", [[], [b"oops"]])
def test_types_are_those_of_files_whichever_way_they_are_found(others: list[bytes]) -> None:
    """Lists were of a type that does not widen, so that [1] and then [1.5] became text."""
    result = decoded(b'{"l": ["x"], "s": {"t": "y", "n": [1]}, "u": 18446744073709551615}', *others)

    assert result.columns.schema == pa.schema(
        [
            ("l", pa.list_(pa.string())),
            ("s", pa.struct([("t", pa.string()), ("n", pa.list_(pa.int64()))])),
            ("u", pa.float64()),
        ]
    )


def test_rows_without_fields_are_rows() -> None:
    assert decoded(b"{}", b"oops", b"{}").columns.num_rows == 2


def test_an_envelope_without_a_schema_holds_a_value_as_it_is() -> None:
    """Kafka Connect writes one around maps; each of them was set aside."""
    result = decoded(b'{"schema":null,"payload":{"a":1}}', b'{"schema":null,"payload":[1]}')

    assert result.columns.to_pylist() == [{"a": 1}]
    assert [(failure.row, failure.cause) for failure in result.failures] == [(1, "not a JSON object: [1]")]


def test_envelopes_whose_schemas_widen_are_one_batch_and_those_that_contradict_are_set_aside() -> None:
    def envelope(kind: str, payload: str) -> bytes:
        schema = f'{{"type":"struct","fields":[{{"field":"a","type":"{kind}"}}]}}'
        return f'{{"schema":{schema},"payload":{{"a":{payload}}}}}'.encode()

    wide = decoded(envelope("int32", "1"), envelope("int64", "2"), envelope("int32", "3"))
    torn = decoded(envelope("int32", "1"), envelope("string", '"x"'), envelope("int32", "3"))

    assert wide.columns.schema == pa.schema([("a", pa.int64())])
    assert (wide.columns.column("a").to_pylist(), wide.rows.tolist()) == ([1, 2, 3], [0, 1, 2])
    assert (torn.columns.column("a").to_pylist(), torn.rows.tolist()) == ([1, 3], [0, 2])
    assert [failure.row for failure in torn.failures] == [1]


@pytest.mark.parametrize(
    ("schema", "cause"),
    [
        (b'{"type":"int32"}', "its type is int32, and a row is a struct"),
        (b'{"type":"struct","fields":[{"field":"a","type":"map"}]}', "field a: type map cannot be a column yet"),
        (b'{"type":"struct","fields":[]}', "the schema has no fields"),
        (b"5", "schema not understood"),
    ],
)
def test_an_envelope_s_schema_that_is_not_understood_is_told(schema: bytes, cause: str) -> None:
    [failure] = decoded(b'{"schema":%b,"payload":{"a":1}}' % schema).failures

    assert cause in failure.cause


def test_where_no_payload_fits_its_schema_all_are_set_aside() -> None:
    schema = b'{"type":"struct","fields":[{"field":"a","type":"int32"}]}'

    result = decoded(b'{"schema":%b,"payload":{"a":"x"}}' % schema)

    assert result.columns.schema == pa.schema([("a", pa.int32())])
    assert [failure.row for failure in result.failures] == [0]


@pytest.mark.parametrize("hostile", [b'{"schema":' + b"[" * 100_000, b'{"schema":"\xff","payload":{}}'])
def test_a_hostile_envelope_is_set_aside_alone(hostile: bytes) -> None:
    good = b'{"schema":{"type":"struct","fields":[{"field":"a","type":"int32"}]},"payload":{"a":1}}'

    result = decoded(good, hostile)

    assert result.columns.to_pylist() == [{"a": 1}]
    assert [failure.row for failure in result.failures] == [1]
