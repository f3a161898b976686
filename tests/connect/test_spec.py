"""Connector configs: all faults at once, with the field, the value and a near miss; one description for everything."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from millstream.connect.converters.choice import declared_schema
from millstream.connect.registry import find, names
from millstream.connect.sinks.filesystem.spec import SPEC as FILESYSTEM
from millstream.connect.sinks.filesystem.spec import sink_config
from millstream.connect.worker.deployment import deploy, read_config
from millstream.core.errors import ConfigError
from millstream.dsl.serdes import schema_of

SINK = {"name": "lake", "connector.class": "filesystem", "topics": "a,b", "store.url": "file:///tmp/lake"}


def faults_of(config: dict[str, Any], path: Path = Path("/configs/lake.json")) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        deploy([(path, config)])
    return caught.value.faults


def test_every_fault_is_reported_with_field_value_and_near_miss() -> None:
    config = {
        "name": "lake",
        "connector.class": "filesystem",
        "flush.size": "0",
        "rotate.intervall.ms": "1",
        "format.class": "parkett",
        "tasks.max": "many",
    }

    faults = faults_of(config)

    assert [fault.split(": ", 2)[2] for fault in faults] == [
        "flush.size='0': must be at least 1; Commit after this many rows of a partition.",
        "format.class='parkett': must be one of parquet, json, text; did you mean parquet?; How rows are written: "
        "parquet, json (one object a line) or text (one line a row).",
        "rotate.intervall.ms is not a field of filesystem; did you mean rotate.interval.ms?",
        "store.url is required: Where the files go, such as hdfs://namenode:9000/lake or file:///lake.",
        "tasks.max='many': must be a whole number; The most tasks that share the connector's work.",
        "give the topics to read, or topics.regex for a pattern, but just one of the two",
    ]


def test_texts_of_a_flat_config_become_typed_values_and_defaults_are_filled_in() -> None:
    values = FILESYSTEM.validate(SINK | {"flush.size": "10", "errors.log.enable": "TRUE", "topics": " a , b "}).values

    assert (values["flush.size"], values["errors.log.enable"], values["topics"]) == (10, True, ["a", "b"])
    assert values["rotate.idle.ms"] == 60_000


def test_an_unknown_key_that_is_like_no_other_is_only_a_warning() -> None:
    validated = FILESYSTEM.validate(SINK | {"hive.metastore.uris": "thrift://x"})

    assert validated.warnings == ("filesystem: hive.metastore.uris is not a field of filesystem and has no effect",)


def test_class_names_of_kafka_connect_are_understood() -> None:
    config = SINK | {
        "connector.class": "io.confluent.connect.hdfs.HdfsSinkConnector",
        "format.class": "io.confluent.connect.hdfs.parquet.ParquetFormat",
        "partitioner.class": "io.confluent.connect.storage.partitioner.DailyPartitioner",
    }

    (deployment,) = deploy([(Path("/configs/lake.json"), config)])

    assert deployment.connector is find("filesystem")
    assert sink_config(deployment.values).placement.time is not None


def test_both_shapes_of_kafka_connects_rest_api_are_read() -> None:
    inner = {key: value for key, value in SINK.items() if key != "name"}

    (deployment,) = deploy([(Path("/c/x.json"), {"name": "lake", "config": inner})])

    assert (deployment.name, deployment.values["topics"]) == ("lake", ["a", "b"])


def test_an_unknown_connector_class_names_the_nearest_one() -> None:
    assert faults_of(SINK | {"connector.class": "filesytem"}) == (
        "/configs/lake.json: connector.class='filesytem': no such connector; did you mean filesystem?",
    )


def test_contradictions_between_fields_are_faults() -> None:
    time = "filesystem: path.format is required with partitioner.class=time, as 'day'=YYYY-MM-dd"
    field = "filesystem: timestamp.field is required with timestamp.extractor=recordfield: name the field"
    zone = "filesystem: timezone='Mars/Olympus': no such time zone; use a name such as Europe/Zurich"
    config = SINK | {"partitioner.class": "time", "timestamp.extractor": "RecordField", "timezone": "Mars/Olympus"}

    assert faults_of(config) == tuple(f"/configs/lake.json: {fault}" for fault in (time, field, zone))


def test_two_connectors_of_one_name_are_a_fault() -> None:
    with pytest.raises(ConfigError, match=r"name='lake' is already taken by /c/a\.json"):
        deploy([(Path("/c/a.json"), SINK), (Path("/c/b.json"), SINK)])


def test_relative_paths_are_relative_to_the_config() -> None:
    source = {"name": "s", "connector.class": "files", "topic": "t", "paths": "logs/*.log,/abs/x.log"}

    source_deployment, sink_deployment = deploy(
        [(Path("/c/s.json"), source), (Path("/c/k.json"), SINK | {"store.url": "lake"})]
    )

    assert source_deployment.values["paths"] == ["/c/logs/*.log", "/abs/x.log"]
    assert sink_deployment.values["store.url"] == "/c/lake"


def test_the_home_folder_is_what_a_shell_takes_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder named ~ was made beside the config."""
    monkeypatch.setenv("HOME", "/home/an[n]")
    source = {"name": "s", "connector.class": "files", "topic": "t", "paths": "~/logs/*.log,a~/x.log", "file": "~/b"}

    source_deployment, sink_deployment = deploy(
        [(Path("/c/s.json"), source), (Path("/c/k.json"), SINK | {"store.url": "~/lake"})]
    )

    assert source_deployment.values["paths"] == ["/home/an[[]n]/logs/*.log", "/c/a~/x.log"]
    assert source_deployment.values["file"] == "/home/an[[]n]/b"
    assert sink_deployment.values["store.url"] == "/home/an[n]/lake"


@pytest.mark.parametrize("name", ["lake.json", "lake.properties"])
def test_a_byte_order_mark_is_none_of_the_config(name: str, tmp_path: Path) -> None:
    text = '{"name": "lake"}' if name.endswith("json") else "name=lake"
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())

    assert read_config(tmp_path / name) == {"name": "lake"}


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_is_not_read_as_a_file(ending: str, tmp_path: Path) -> None:
    """Nothing was read, and nothing was said."""
    folder = tmp_path / "all[1]"
    folder.mkdir()
    source = {"name": "s", "connector.class": "files", "topic": "t", "paths": f"all[[]1]{ending}, all[[]1]/*"}
    (deployment,) = deploy([(tmp_path / "s.json", source)])

    with pytest.raises(ConfigError) as raised:
        deployment.connector.check(deployment.values)

    assert raised.value.faults == (f"files: '{folder}{ending}' is a folder: name the files in it, such as {folder}/*",)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"partitioner.class": "hourly", "timestamp.field": "tss", "value.schema": {"ts": "timestamp"}},
            "timestamp.field='tss': is no column of value.schema; did you mean ts?",
        ),
        (
            {"partitioner.class": "hourly", "timestamp.field": "ts", "value.schema": {"ts": "string"}},
            "timestamp.field='ts': is string in value.schema; declare it as timestamp",
        ),
        (
            {"partitioner.class": "field", "partition.field.name": "level", "value.schema": {"ts": "timestamp"}},
            "partition.field.name='level': is no column of value.schema; declare it there, or name one of ts",
        ),
    ],
)
def test_folders_by_a_column_that_no_row_has_are_a_fault(settings: dict[str, object], told: str) -> None:
    """All rows went to one folder, of the time when they were written or of no value."""
    assert faults_of(SINK | settings) == (f"/configs/lake.json: filesystem: {told}",)


def test_all_that_is_wrong_within_an_object_is_named() -> None:
    """An entry of another JSON type hid what was wrong with those beside it."""
    config = SINK | {"partitioner.class": "field", "partition.field.name": "host"}

    faults = faults_of(config | {"value.schema": {"a": "string", "n": 5, "hast": "strin", "l": [None]}})

    assert [fault.removeprefix("/configs/lake.json: ").partition(": must be")[0] for fault in faults] == [
        "value.schema: n=5",
        "value.schema: hast='strin'",
        "value.schema: l[]=None",
        "filesystem: partition.field.name='host': is no column of value.schema; did you mean hast?",
    ]


def test_the_value_of_a_secret_is_not_in_its_fault() -> None:
    from millstream.connect.spec import ConnectorSpec, Field, text

    spec = ConnectorSpec("x", "sink", "", "", (Field("password", text(), "The password.", secret=True),))

    with pytest.raises(ConfigError, match=r"password=\[hidden\]: must not be empty"):
        spec.validate({"password": ""})


WRITTEN = {"name": "lake", "connector.class": "filesystem", "topics": "a"}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples/log_aggregation").glob("*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_editor_finds_no_fault_in_the_examples(path: Path) -> None:
    """The schema that editors are given wanted lists and numbers where everybody writes texts."""
    config = json.loads(path.read_text())

    assert list(Draft202012Validator(find(config["connector.class"]).spec.json_schema()).iter_errors(config)) == []


@pytest.mark.parametrize(
    ("written", "is_right"),
    [
        ({"store.url": "/lake"}, True),
        ({"hdfs.url": "hdfs://namenode:9000/lake"}, True),
        ({}, False),
        ({"store.url": "/lake", "flush.size": "1000", "errors.log.enable": "True", "topics": ["a", "b"]}, True),
        ({"store.url": "/lake", "flush.size": 1000, "format.class": "io.confluent.connect.hdfs.json.JsonFormat"}, True),
        ({"store.url": "/lake", "flush.size": 0}, False),
        ({"store.url": "/lake", "flush.size": "many"}, False),
        ({"store.url": "/lake", "errors.log.enable": "maybe"}, False),
        ({"store.url": "/lake", "format.class": "parkett"}, False),
        ({"store.url": "/lake", "name": ".."}, False),
        ({"store.url": "/lake", "value.schema": {"a": "str", "b": {"c": ["bool"]}}}, True),
    ],
)
def test_the_schema_for_editors_takes_what_a_worker_takes(written: dict[str, Any], is_right: bool) -> None:
    """With only hdfs.url, which a worker takes, an editor missed store.url."""
    config = WRITTEN | written

    assert Draft202012Validator(FILESYSTEM.json_schema()).is_valid(config) is is_right
    assert (FILESYSTEM.examine(config).faults == ()) is is_right


def test_an_object_may_be_written_as_text_as_properties_files_have_it() -> None:
    declared = FILESYSTEM.validate(SINK | {"value.schema": '{"host": "string"}'}).values["value.schema"]

    assert declared == {"host": "string"}
    assert (
        faults_of(SINK | {"value.schema": "host string"})[0]
        .split(": ", 2)[2]
        .startswith("value.schema='host string': must be a JSON object")
    )


@pytest.mark.parametrize("name", names())
def test_a_connectors_schema_is_valid_and_every_field_is_documented(name: str) -> None:
    spec = find(name).spec
    schema = spec.json_schema()

    Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    assert all(len(described["description"]) > 10 for described in schema["properties"].values())
    assert [field.name for field in spec.fields if [f.name for f in spec.fields].count(field.name) > 1] == []


def test_what_is_wrong_beside_a_missing_key_is_found_in_the_same_run() -> None:
    sink = {key: value for key, value in SINK.items() if key != "store.url"}

    faults = faults_of(sink | {"timezone": "Europe/Zurick", "topics.dir": "/lake"})

    assert [fault.split(": ", 2)[2].partition(":")[0] for fault in faults] == [
        "store.url is required",
        "timezone='Europe/Zurick'",
        "topics.dir='/lake'",
    ]
    source = {"name": "s", "connector.class": "files"}
    assert [fault.split(": ", 2)[2].partition(":")[0] for fault in faults_of(source)] == [
        "topic is required",
        "paths is required",
    ]


def test_a_key_is_taken_under_the_name_that_it_has_in_kafka_connect() -> None:
    config = {key: value for key, value in SINK.items() if key != "store.url"} | {
        "connector.class": "HdfsSinkConnector"
    }
    url = "hdfs://namenode:9000/lake"

    (deployment,) = deploy([(Path("/configs/lake.json"), config | {"hdfs.url": url})])

    assert (deployment.values["store.url"], "hdfs.url" in deployment.values) == (url, False)
    assert not [warning for warning in deployment.warnings if "hdfs.url" in warning]
    (same,) = deploy([(Path("/configs/lake.json"), config | {"hdfs.url": url, "store.url": url})])
    assert same.values["store.url"] == url
    assert faults_of(config | {"hdfs.url": url, "store.url": "hdfs://other/lake"}) == (
        "/configs/lake.json: filesystem: hdfs.url and store.url are one key: they differ; give one",
    )


def test_the_description_of_a_schema_is_of_whole_sentences() -> None:
    for name in names():
        assert ". Delivery: " in find(name).spec.json_schema()["description"]


def test_every_misspelt_and_unknown_key_is_told_when_a_config_is_refused() -> None:
    """Only what was missing was told, not the keys that were meant as it, and nothing of FLUSH.SIZE."""
    source = {"nmae": "s", "connector.class": "files", "tpoic": "t", "pahts": "x", "what.is.this": "1"}

    told = [fault.removeprefix("/configs/lake.json: files: ") for fault in faults_of(source)]

    assert [sentence for sentence in told if " is required: " not in sentence] == [
        "nmae is not a field of files; did you mean name?",
        "pahts is not a field of files; did you mean paths?",
        "tpoic is not a field of files; did you mean topic?",
        "what.is.this is not a field of files and has no effect",
    ]
    assert faults_of(SINK | {"FLUSH.SIZE": 3, "Store.Timeout.Ms": 1000}) == (
        "/configs/lake.json: filesystem: FLUSH.SIZE is not a field of filesystem; did you mean flush.size?",
        "/configs/lake.json: filesystem: Store.Timeout.Ms is not a field of filesystem; did you mean store.timeout.ms?",
    )


def test_an_empty_value_is_told_of_once_and_hides_no_other() -> None:
    """An empty topic was told of twice, and empty paths were the config's own folder."""
    faults = faults_of({"name": "s", "connector.class": "files", "topic": "", "paths": ""})

    assert faults == (
        "/configs/lake.json: files: topic='': must not be empty; The topic that the lines go to.",
        "/configs/lake.json: files: paths is required: the files to read, such as /var/log/nginx/*.log",
    )


@pytest.mark.parametrize(("value", "shown"), [(None, "null"), (True, "true"), (["a", ""], "['a', '']"), (7, "7")])
def test_a_value_is_shown_as_it_was_written(value: object, shown: str) -> None:
    (fault,) = faults_of({"name": "s", "connector.class": "files", "topic": "t", "paths": value})

    assert fault.startswith(f"/configs/lake.json: files: paths={shown}: must ")


@pytest.mark.parametrize("name", ["lake.json", "lake.properties"])
def test_a_config_that_is_no_utf8_names_the_line(name: str, tmp_path: Path) -> None:
    """The text was that of Python's codec."""
    (tmp_path / name).write_bytes(b'{\n"name": "caf\xe9"}' if name.endswith("json") else b"# first\nname=caf\xe9\n")

    with pytest.raises(ConfigError) as refused:
        read_config(tmp_path / name)

    assert refused.value.faults == (f"{tmp_path / name}:2: the byte 0xe9 is no UTF-8; save the file as UTF-8",)


def test_a_schema_takes_the_names_of_types_that_topologies_take() -> None:
    schema = {"s": "str", "b": "bool", "i": "int", "f": "float", "d": "double", "raw": "binary", "day": "date"}

    assert declared_schema(schema) == schema_of("topology", schema)
