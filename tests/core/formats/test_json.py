"""JsonFormat.decode against Python's json: every valid row gives the same values, every other row a cause."""

import copy
import gc
import json
import math
import pickle
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from core.guarded import GuardedMemory, check_in_own_process
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import PlanError
from millstream.core.formats.json import JsonFormat

TIME = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        ("ts", pa.int64()),
        ("host", pa.string()),
        ("ok", pa.bool_()),
        ("latency_ms", pa.float64()),
        ("time", TIME),
        ("small", pa.int8()),
        ("a rather long name, in UTF-8: é", pa.string()),
    ]
)
FORMAT = JsonFormat(SCHEMA)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def values_of(*rows: bytes | str | None) -> pa.Array:
    return pa.array([row.encode() if isinstance(row, str) else row for row in rows], pa.binary())


def decode(*rows: bytes | str | None, schema: pa.Schema = SCHEMA) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    result = JsonFormat(schema).decode(values_of(*rows))
    result.columns.validate(full=True)
    assert result.columns.schema == schema
    rows_in = len(rows)
    assert sorted([*result.rows.tolist(), *(failure.row for failure in result.failures)]) == list(range(rows_in))
    return result.columns.to_pylist(), [tuple(failure) for failure in result.failures]


def test_a_byte_order_mark_before_an_object_is_passed_over_as_by_kafka_connect() -> None:
    """Asked of JsonConverter of Kafka 4.3.1: one mark, and at the very beginning only."""
    mark = "\ufeff"
    rows, failures = decode(
        mark + '{"ts":1}', mark + ' {"host":"\ufeffa"}', " " + mark + '{"ts":2}', mark + mark + '{"ts":3}', mark
    )

    assert [(row["ts"], row["host"]) for row in rows] == [(1, None), (None, "\ufeffa")]
    assert [row for row, _ in failures] == [2, 3, 4]


# --- against the definition -----------------------------------------------------------------------------------------

integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200) | st.integers(-(2**70), 2**70)
numbers = (
    integers | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, 1e22, 1e23, 5e-324, 2**53 + 1])
)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda time: time.isoformat())
scalars = st.none() | st.booleans() | numbers | st.text(max_size=12) | times
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(SCHEMA.names) | st.text(max_size=5)
blanks = st.sampled_from(["", "", " ", "\n\t", "\r "])


def expected(field: pa.Field, value: Any) -> Any:
    """The value as the declared type, or ValueError."""
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if pa.types.is_floating(field.type) and is_number and math.isfinite(float(value)):
        return float(value)
    if pa.types.is_boolean(field.type) and isinstance(value, bool):
        return value
    if pa.types.is_string(field.type) and isinstance(value, str):
        return value.encode().decode()
    if pa.types.is_timestamp(field.type) and isinstance(value, str):
        time = datetime.fromisoformat(value)
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (time - EPOCH) // timedelta(milliseconds=1)
    if is_number and value == int(value) and (pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)):
        limit = 2 ** (field.type.bit_width - 1)
        if -limit <= int(value) < limit:
            return int(value)
    raise ValueError


def refuse_constant(text: str) -> Any:
    raise ValueError(text)


def expected_row(row: bytes) -> list[Any]:
    """Values of all fields as Python's json reads them, or ValueError."""
    members = json.loads(row.decode(), parse_constant=refuse_constant)
    if not isinstance(members, dict):
        raise ValueError
    return [expected(field, members.get(field.name)) for field in SCHEMA]


def got_rows(rows: list[bytes], format: JsonFormat = FORMAT) -> dict[int, list[Any]]:
    """Values by row, times as ms."""
    result = format.decode(pa.array(rows, pa.binary()))
    result.columns.validate(full=True)
    columns = [
        (column.view(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for column in result.columns.columns
    ]
    return {row: [column[index] for column in columns] for index, row in enumerate(result.rows.tolist())}


def same(left: list[Any], right: list[Any]) -> bool:
    return repr(left) == repr(right)


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    members = draw(st.lists(st.tuples(names, anything), max_size=8))
    parts = []
    for name, value in members:
        ascii_only = draw(st.booleans())
        separators = (draw(blanks) + "," + draw(blanks), draw(blanks) + ":" + draw(blanks))
        text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
        parts.append(draw(blanks) + json.dumps(name, ensure_ascii=ascii_only) + separators[1] + text + draw(blanks))
    return (draw(blanks) + "{" + (",".join(parts) or draw(blanks)) + "}" + draw(blanks)).encode(
        "utf-8", "surrogatepass"
    )


@settings(max_examples=some(150))
@given(st.lists(objects(), max_size=5))
def test_valid_rows_give_what_pythons_json_gives(rows: list[bytes]) -> None:
    got = got_rows(rows)
    for index, row in enumerate(rows):
        try:
            wanted = expected_row(row)
        except (ValueError, OverflowError):
            assert index not in got
        else:
            assert index in got, row
            assert same(got[index], wanted)


def damaged(rng: random.Random) -> bytes:
    members = {
        "ts": rng.randrange(2**42),
        "host": rng.choice(["web-1", "zürich", 'a"b\\', ""]),
        "extra": rng.choice([[1, {"a": [None]}], {"x": {}}, [], "text", 1.5e3, False, 2**100]),
        rng.choice(["small", 'a\\b"', "größe"]): rng.choice([{"\t": 0.125}, 0, 12.0, -1.28e2, 10**18 + 1]),
        "ok": rng.random() < 0.5,
        "latency_ms": rng.lognormvariate(3, 1),
        "time": rng.choice(["2024-02-29T23:59:59.123456Z", "2024-01-01 00:00:00,5+02:00", 17]),
        "small": rng.randrange(-128, 128),
    }
    text = bytearray(json.dumps(members, ensure_ascii=rng.random() < 0.5).encode())
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(max(1, len(text)))
        text = text or bytearray(b"{")
        kind = rng.randrange(5)
        if kind == 0:
            text[at] = rng.randrange(256)
        elif kind == 1:
            text[at] = rng.choice(b'{}[]:,"\\ \n\t0123456789-+.eEtrufalsn\x80\xc3\xff')
        elif kind == 2:
            del text[at : at + rng.randrange(1, 6)]
        elif kind == 3:
            text[at:at] = bytes([rng.choice(b'{}[]:,"\\ 0-+.eEn')])
        else:
            del text[at:]
    return bytes(text)


def check_damaged_rows(seed: int, rounds: int) -> int:
    """Compare with Python's json on rows that end at unmapped memory; how many rows were taken."""
    memory = GuardedMemory(1 << 16)
    taken = 0
    for number in range(rounds):
        rng = random.Random(f"{seed}/{number}")
        rows = [damaged(rng) for _ in range(rng.randrange(1, 4))]
        result = FORMAT.decode(memory.values(rows))
        got = got_rows(rows)
        assert result.rows.tolist() == list(got)
        for index, row in enumerate(rows):
            try:
                wanted = expected_row(row)
            except (ValueError, OverflowError):
                assert index not in got, (seed, number, row)
                continue
            is_unusual = b"e" in row.lower() or b"\\ud" in row.lower()
            assert index in got or is_unusual, (seed, number, row)
            if index in got:
                taken += 1
                assert same(got[index], wanted), (seed, number, row, wanted)
    return taken


def test_damaged_rows_agree_with_pythons_json_and_nothing_is_read_past_them() -> None:
    check_in_own_process("core.formats.test_json", "check_damaged_rows", 1500)


# --- one by one -----------------------------------------------------------------------------------------------------


def test_typed_columns_come_out_of_rows_in_any_shape() -> None:
    rows, failures = decode(
        '{"ts":1,"host":"a","ok":true,"latency_ms":1.5,"time":1000,"small":-128}',
        ' { "small" : 127 , "time" : "1970-01-01T00:00:01.5Z" , "host" : "\\u00e9\\n" , "ts" : 2.0 } ',
        '{"x":[1,{"ts":9}],"ts":3,"ts":4,"host":null,"y":{"a":"}"}}',
        "{}",
    )

    empty = dict.fromkeys(SCHEMA.names)
    assert failures == []
    assert rows == [
        empty
        | {"ts": 1, "host": "a", "ok": True, "latency_ms": 1.5, "time": EPOCH + timedelta(seconds=1), "small": -128},
        empty | {"ts": 2, "host": "é\n", "time": EPOCH + timedelta(seconds=1.5), "small": 127},
        empty | {"ts": 4},
        empty,
    ]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (None, "null value"),
        ("", "empty value"),
        ("[1]", "not a JSON object: [1]"),
        ('{"ts":1', "not JSON: Input data was truncated"),
        ('{"ts":01}', "not JSON: JSON is malformed: invalid number (byte 7)"),
        (b'{"host":"\xff"}', "not UTF-8: invalid start byte at byte 9"),
        (b'{"extra":"\xed\xa0\x80"}', "not UTF-8: invalid continuation byte at byte 10"),
        ('{"ts":"1"}', 'field ts: "1" is not an integer'),
        ('{"ts":true}', "field ts: true is not an integer"),
        ('{"ts":1.5}', "field ts: 1.5 is not an integer"),
        ('{"ts":9223372036854775808}', "field ts: 9223372036854775808 is not from -9223372036854775808 to"),
        ('{"small":128}', "field small: 128 is not from -128 to 127"),
        ('{"latency_ms":"1.5"}', 'field latency_ms: "1.5" is not a number'),
        ('{"ok":1}', "field ok: 1 is not true or false"),
        ('{"host":1}', "field host: 1 is not a string"),
        ('{"host":{"a":1}}', 'field host: {"a":1} is not a string'),
        ('{"time":"yesterday"}', 'field time: "yesterday" is not an ISO-8601 time'),
        ('{"time":"2023-02-29T00:00:00Z"}', 'field time: "2023-02-29T00:00:00Z" is not an ISO-8601 time'),
        ('{"time":1.5}', "field time: 1.5 is not a time in ms or in ISO-8601"),
        ('{"ts":1}{', "not JSON: JSON is malformed: trailing characters (byte 9)"),
    ],
)
def test_a_row_that_does_not_fit_says_why(row: bytes | str | None, cause: str) -> None:
    rows, failures = decode('{"ts":7}', row, '{"ts":8}')

    assert [good["ts"] for good in rows] == [7, 8]
    assert [failed for failed, _ in failures] == [1]
    assert failures[0][1].startswith(cause)


def test_nesting_without_end_is_refused_and_deep_nesting_is_not() -> None:
    deep = '{"ts":5,"x":' + "[" * 100 + "]" * 100 + "}"
    rows, failures = decode(deep, '{"x":' + "[" * 100_000)

    assert [row["ts"] for row in rows] == [5]
    assert failures[0][1].startswith("not JSON: ")


def test_a_field_that_is_not_nullable_has_to_be_there() -> None:
    schema = pa.schema([pa.field("ts", pa.int64(), nullable=False), ("host", pa.string())])

    rows, failures = decode('{"host":"a"}', '{"ts":1}', '{"ts":null}', schema=schema)

    assert rows == [{"ts": 1, "host": None}]
    assert failures == [(0, "field ts is missing or null"), (2, "field ts is missing or null")]


def test_nested_fields_are_read_row_by_row() -> None:
    schema = pa.schema([("tags", pa.list_(pa.string())), ("user", pa.struct([("id", pa.int32()), ("at", TIME)]))])

    rows, failures = decode(
        '{"tags":["a",null],"user":{"id":1,"at":1000,"more":2}}', '{"tags":[1]}', '{"user":[]}', "{}", schema=schema
    )

    assert rows == [
        {"tags": ["a", None], "user": {"id": 1, "at": EPOCH + timedelta(seconds=1)}},
        {"tags": None, "user": None},
    ]
    assert failures == [(1, "field tags: 1 is not a string"), (2, "field user: [] is not an object")]


def test_dates_and_bytes_are_read_row_by_row() -> None:
    schema = pa.schema([("day", pa.date32()), ("data", pa.binary())])

    rows, failures = decode('{"day":"2024-02-29","data":"/w=="}', '{"day":5}', '{"data":"?"}', "{}", schema=schema)

    assert rows == [{"day": date(2024, 2, 29), "data": b"\xff"}, {"day": None, "data": None}]
    assert failures == [(1, "field day: 5 is not a date such as 2024-02-29"), (2, 'field data: "?" is not base64')]


def test_a_number_too_large_for_float32_is_refused() -> None:
    schema = pa.schema([("x", pa.float32())])

    rows, failures = decode('{"x":1e39}', '{"x":3e38}', '{"x":1}', schema=schema)

    assert [row["x"] for row in rows] == [pytest.approx(3e38), 1.0]
    assert failures == [(0, "field x: 1e39 is too large for a floating-point number")]


def test_slices_and_large_inputs_give_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    values = values_of(*[f'{{"ts":{row},"host":"h{row}"}}' if row % 7 else None for row in range(100)]).slice(3, 90)
    whole = FORMAT.decode(values)

    monkeypatch.setattr("millstream.core.formats.json.BYTES_AT_ONCE_MAX", 300)
    parts = FORMAT.decode(values)

    assert whole.columns.column(0).to_pylist() == [row for row in range(3, 93) if row % 7]
    assert parts.columns.equals(whole.columns)
    assert (parts.rows.tolist(), parts.failures) == (whole.rows.tolist(), whole.failures)


def test_a_copy_of_a_format_reads_what_the_format_reads() -> None:
    values = values_of('{"ts":1,"host":"a"}')
    expected = FORMAT.decode(values).columns

    copies = [copy.deepcopy(JsonFormat(SCHEMA)), pickle.loads(pickle.dumps(JsonFormat(SCHEMA)))]

    gc.collect()
    assert [copied.decode(values).columns.equals(expected) for copied in copies] == [True, True]


def test_no_rows_give_no_rows() -> None:
    assert decode() == ([], [])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([("a", pa.int64()), ("a", pa.string())], "json: field a is declared more than once"),
        ([], "json: the schema has no fields"),
        ([("a", pa.decimal128(10))], r"json: field a has the type decimal128\(10, 0\); use int8"),
        ([("a", pa.timestamp("us"))], r"json: field a has the type timestamp\[us\]; use int8"),
        ([("a", pa.list_(pa.struct([("b", pa.null())])))], r"json: field a\[\]\.b has the type null; use int8"),
    ],
)
def test_a_schema_that_json_cannot_give_is_refused_at_once(fields: list[Any], text: str) -> None:
    with pytest.raises(PlanError, match=text):
        JsonFormat(pa.schema(fields))


def test_reading_without_a_schema_is_refused() -> None:
    with pytest.raises(PlanError, match="json: values are read with a schema"):
        JsonFormat().decode(values_of("{}"))
