"""A properties file is read as Java reads it, or its faulty line is named."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import ConfigError
from millstream.core.properties import parse_properties


def test_a_properties_file_is_read_as_java_reads_it() -> None:
    text = "a=1\n b : 2\n! no\nc 3\nlong=one,\\\n    two\npath=C\\:\\\\x\nuni=\\u00e9\na=4\nempty=\n key\\=x = y\n"

    assert parse_properties(text) == {
        "a": "4", "b": "2", "c": "3", "long": "one,two", "path": "C:\\x", "uni": "é", "empty": "", "key=x": "y",
    }  # fmt: skip


def test_characters_of_all_scripts_are_read_as_java_reads_them() -> None:
    """Its lines end at three characters only, and a character beyond 16 bits is escaped in two halves."""
    text = "separator=a\u2028b\x85c\r\nface=\\ud83d\\ude00\rhalf=\\ud83dx\n"

    assert parse_properties(text) == {"separator": "a\u2028b\x85c", "face": "\U0001f600", "half": "\ufffdx"}


def test_a_line_that_is_no_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="line 2: 'nothing': a setting is written key=value"):
        parse_properties("a=1\nnothing\n")


@given(st.text())
def test_any_text_is_settings_or_a_fault(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert all(key and value == value.strip() for key, value in parse_properties(text).items())


def test_a_faulty_line_of_a_file_is_named_with_the_file() -> None:
    with pytest.raises(ConfigError, match=r"^conf/a\.properties:1: '=2': a setting is written key=value"):
        parse_properties("=2", "conf/a.properties")
