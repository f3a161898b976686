"""Values to columns: types as declared or found, and a bad row never takes its batch down."""

import json
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.connect.converters.choice import declared_schema, value_converter
from millstream.connect.converters.converter import Converter
from millstream.core.errors import ConfigError


def converter(**settings: object) -> Converter:
    return value_converter({"value.converter": None, "value.schema": None} | settings)


def binary(*values: bytes | None) -> pa.Array:
    return pa.array(list(values), pa.binary())


def test_declared_columns_have_their_types_and_bad_rows_are_set_aside() -> None:
    schema = {"host": "string", "requests": "int64", "at": "timestamp"}
    values = binary(
        b'{"requests": 3, "host": "a", "at": 1000}', b"not json", b'{"host": "b"}', None, b'{"requests": "x"}'
    )

    result = converter(**{"value.schema": schema}).decode(values)

    assert result.columns.schema == declared_schema(schema)
    assert [(row["host"], row["requests"]) for row in result.columns.to_pylist()] == [("a", 3), ("b", None)]
    assert result.rows.tolist() == [0, 2]
    assert [failure.row for failure in result.failures] == [1, 3, 4]


# The first batch of a process takes a second or two on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.just(b"oops"),
            st.just(b""),
            st.just(b"[1]"),
            st.integers().map(lambda n: b'{"n": %d}' % (n % 99)),
        ),
        max_size=20,
    )
)
def test_without_declared_types_good_rows_keep_their_places(values: list[bytes | None]) -> None:
    result = converter().decode(pa.array(values, pa.binary()))

    good = [(row, value) for row, value in enumerate(values) if value is not None and value.startswith(b"{")]
    assert result.rows.tolist() == [row for row, _ in good]
    assert [row["n"] for row in result.columns.to_pylist()] == [json.loads(value)["n"] for _, value in good]
    assert sorted([*result.rows.tolist(), *(failure.row for failure in result.failures)]) == list(range(len(values)))


def test_a_byte_order_mark_before_a_value_is_passed_over_with_and_without_an_envelope() -> None:
    mark = b"\xef\xbb\xbf"
    envelope = b'{"schema":{"type":"struct","fields":[{"field":"n","type":"int32"}]},"payload":{"n":%d}}'

    for values in (binary(mark + b'{"n":1}', b'{"n":2}'), binary(mark + envelope % 1, envelope % 2)):
        result = converter().decode(values)
        assert (result.columns.to_pylist(), result.failures) == ([{"n": 1}, {"n": 2}], [])


def test_types_are_found_over_the_whole_batch() -> None:
    result = converter().decode(binary(b'{"a": 1}', b'{"a": 2.5, "b": "x"}', b'{"b": null, "c": {"d": [1]}}'))

    assert result.columns.to_pylist() == [
        {"a": 1.0, "b": None, "c": None},
        {"a": 2.5, "b": "x", "c": None},
        {"a": None, "b": None, "c": {"d": [1]}},
    ]


def test_an_envelope_of_kafka_connect_gives_its_types() -> None:
    schema = {
        "type": "struct",
        "fields": [
            {"field": "id", "type": "int32", "optional": False},
            {"field": "at", "type": "int64", "name": "org.apache.kafka.connect.data.Timestamp", "optional": True},
        ],
    }
    rows = [json.dumps({"schema": schema, "payload": {"id": n, "at": 1000 * n}}).encode() for n in (1, 2)]

    result = converter().decode(binary(rows[0], b'{"schema": 1}', rows[1]))

    assert result.columns.schema == pa.schema([("id", pa.int32()), ("at", pa.timestamp("ms", tz="UTC"))])
    assert result.columns.column("id").to_pylist() == [1, 2]
    assert result.rows.tolist() == [0, 2]
    assert [failure.row for failure in result.failures] == [1]


def test_text_stays_text_and_what_is_not_text_is_set_aside() -> None:
    result = converter(**{"value.converter": "org.apache.kafka.connect.storage.StringConverter"}).decode(
        binary("ünï".encode(), b"\xff\xfe", None)
    )

    assert result.columns.to_pylist() == [{"value": "ünï"}, {"value": None}]
    assert result.rows.tolist() == [0, 2]
    assert [failure.row for failure in result.failures] == [1]


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "Shift_JIS"])
def test_text_is_read_in_the_encoding_of_kafka_connects_string_converter(encoding: str) -> None:
    texts = ["plain", "caf\xe9" if encoding != "Shift_JIS" else "\u8336", ""]
    values = pa.array([text.encode(encoding) for text in texts] + [None], pa.binary())

    settings = {"value.converter": "string", "value.converter.converter.encoding": encoding}
    result = converter(**settings).decode(values)

    assert result.columns.to_pydict() == {"value": [*texts, None]}
    assert (result.rows.tolist(), result.failures) == ([0, 1, 2, 3], [])


def test_text_that_is_not_in_its_encoding_fails_alone() -> None:
    settings = {"value.converter": "string", "value.converter.converter.encoding": "windows-1252"}

    result = converter(**settings).decode(binary(b"a", b"\x81", b"\xe9"))

    assert result.columns.to_pydict() == {"value": ["a", "\xe9"]}
    assert result.rows.tolist() == [0, 2]
    assert [tuple(failure) for failure in result.failures] == [(1, "not cp1252: byte 0x81 at byte 0 is no character")]


def test_objects_and_lists_are_declared_as_they_look() -> None:
    schema = {"at": "timestamp", "user": {"id": "int64"}, "tags": ["string"]}
    values = binary(
        b'{"at": "1970-01-01T00:00:01Z", "user": {"id": 5, "age": 7}, "tags": ["a", "b"]}', b'{"user": {"id": "x"}}'
    )

    result = converter(**{"value.schema": schema}).decode(values)

    assert result.columns.select(["user", "tags"]).to_pylist() == [{"user": {"id": 5}, "tags": ["a", "b"]}]
    assert result.columns.column("at").cast(pa.int64()).to_pylist() == [1000]
    assert [failure.row for failure in result.failures] == [1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"value.converter": "jsn"}, "did you mean json"),
        ({"value.schema": {"a": "int46"}}, "did you mean int64"),
        ({"value.schema": {"a": {"b": "strin"}}}, r"value.schema: a\.b='strin': must be one of .*did you mean string"),
        ({"value.schema": {"a": [], "b": {}}}, r"(?s)value.schema: a=\[\]: .* or a list .*value.schema: b={}: must be"),
        ({"value.converter": "string", "value.schema": {"a": "int64"}}, "leave one of them out"),
        ({"value.converter.schemas.enable": "maybe"}, "must be true or false"),
        ({"value.converter.converter.encoding": "ISO-8859-1"}, "goes with value.converter=string, not json"),
        ({"value.converter": "string", "value.converter.converter.encoding": "ISO-99"}, "='ISO-99': no such encoding"),
    ],
)
def test_a_wrong_converter_setting_is_told_with_its_remedy(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        converter(**settings)


def test_declared_dates_are_read() -> None:
    converter = value_converter({"value.converter": None, "value.schema": {"day": "date"}})

    decoded = converter.decode(pa.array([b'{"day": "2026-03-14"}', b'{"day": null}'], pa.binary()))

    assert decoded.columns.to_pylist() == [{"day": date(2026, 3, 14)}, {"day": None}]
