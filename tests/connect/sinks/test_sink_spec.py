"""The filesystem sink's settings against each other, and against the place that they name."""

from typing import Any

import pytest

from millstream.connect.sinks.filesystem.encodings import Encoding
from millstream.connect.sinks.filesystem.spec import SPEC, sink_config
from millstream.connect.sinks.filesystem.task import check, make_task
from millstream.core.errors import ConfigError

CONFIG = {"name": "s", "connector.class": "filesystem", "topics": "t", "store.url": "/tmp/lake"}


@pytest.mark.parametrize("key", ["topics.dir", "logs.dir"])
@pytest.mark.parametrize("value", ["../out", "/etc", "a/../b", "..", ".", "a//b"])
def test_folders_outside_of_the_lake_are_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"filesystem: {key}='.*': a folder below store.url"):
        make_task(SPEC.validate(CONFIG | {key: value}).values)


@pytest.mark.parametrize("value", ["topics", "lake/topics", "topics/", "a..b", "+x"])
def test_folders_below_the_lake_are_taken(value: str) -> None:
    make_task(SPEC.validate(CONFIG | {"topics.dir": value}).values)


@pytest.mark.parametrize("url", ["/proc/lake", "file:///proc/self/x"])
def test_a_place_that_holds_no_files_is_one_clear_error(url: str) -> None:
    with pytest.raises(ConfigError, match=f"store.url='{url}': cannot make the directory /proc/.*; choose a place"):
        check(SPEC.validate(CONFIG | {"store.url": url}).values)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"value.converter": "string", "metadata.columns": "offset,key"}, "metadata.columns=offset,key: format.class="),
        ({"value.schema": {"a": "string", "b": "string"}}, "value.schema: format.class=text writes one column"),
        ({"value.schema": {"a": "int64"}}, "value.schema: format.class=text writes one column of text, and a is"),
        ({"value.schema": {"a": ["string"]}}, "value.schema: format.class=text writes one column of text, and a is"),
    ],
)
def test_text_of_rows_with_more_than_a_text_is_refused_at_once(more: dict[str, Any], told: str) -> None:
    """It started, and failed at the first row with a remedy that did not help."""
    config = CONFIG | {"format.class": "text"} | more

    with pytest.raises(ConfigError) as refused:
        make_task(SPEC.validate(config).values)

    assert [fault.startswith(f"filesystem: {told}") for fault in refused.value.faults] == [True]
    make_task(SPEC.validate(config | {"format.class": "json"}).values)


def test_text_of_one_declared_text_is_taken() -> None:
    make_task(SPEC.validate(CONFIG | {"format.class": "text", "value.schema": {"a": "string"}}).values)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"compression.type": "gzip"}, "compression.type=gzip goes with .*: set parquet.codec=gzip instead"),
        (
            {"format.class": "json", "parquet.codec": "zstd"},
            "parquet.codec=zstd goes with format.class=parquet, not json: set compression.type=zstd instead",
        ),
        (
            {"format.class": "text", "parquet.codec": "lz4"},
            "parquet.codec=lz4 goes with format.class=parquet, not text: leave it out",
        ),
        ({"topics.dir": "lake/", "logs.dir": "lake"}, "logs.dir='lake': is topics.dir too, .*; name another folder"),
    ],
)
def test_keys_that_would_have_no_effect_or_a_bad_one_are_refused(config: dict[str, str], told: str) -> None:
    """They were taken without a word: files were compressed otherwise, and manifests lay among the data."""
    with pytest.raises(ConfigError, match=told):
        make_task(SPEC.validate(CONFIG | config).values)


def test_a_codec_is_taken_with_its_format_and_zstd_is_parquets_own() -> None:
    for config, codec in (({}, "zstd"), ({"parquet.codec": "gzip", "compression.type": "none"}, "gzip")):
        assert sink_config(SPEC.validate(CONFIG | config).values).encoding == Encoding("parquet", codec, "none")
