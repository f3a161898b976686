"""Config keys that every connector takes, with Kafka Connect's names and defaults. Pure.

Source: ConnectorConfig, SourceConnectorConfig and SinkConnectorConfig of Kafka Connect. Tested in
tests/connect/test_spec.py.
"""

from .spec import Field, at_least, choice, flag, names, text, whole_number

COMMON_PREFIXES = (
    "admin.override.",
    "consumer.override.",
    "header.converter.",
    "key.converter.",
    "predicates.",
    "producer.override.",
    "topic.creation.",
    "transforms.",
    "value.converter.",
)

COMMON_FIELDS = (
    Field("$schema", text(), "Where an editor finds the JSON Schema of this file.", default=None),
    Field(
        "name",
        text(pattern=r"^(?!\.\.?$)[^/]+$"),
        "The connector's name, unique among the connectors of a worker, and part of paths: without a slash.",
    ),
    Field("connector.class", text(), "Which connector this is, such as files or filesystem."),
    Field("tasks.max", at_least(1), "The most tasks that share the connector's work.", default=1),
    Field("key.converter", text(), "Accepted: keys are bytes, handed on as they are.", default=None),
    Field(
        "value.converter",
        text(),
        "How a sink reads values: json (its default), string or bytes, or their names in Kafka Connect. Text that is "
        "not UTF-8: string, and value.converter.converter.encoding, such as ISO-8859-1.",
        default=None,
    ),
    Field("header.converter", text(), "Accepted: headers are bytes, handed on as they are.", default=None),
    Field("transforms", names(), "Not there yet: a config that names transforms is refused.", default=[]),
    Field("predicates", names(), "Not there yet, as transforms.", default=[]),
    Field(
        "errors.tolerance",
        choice("none", "all"),
        "Sinks: all goes on after a row that cannot be converted, none fails the task.",
        default="none",
    ),
    Field("errors.log.enable", flag(), "Sinks: log each row that cannot be converted.", default=False),
    Field("errors.log.include.messages", flag(), "Log its content too.", default=False),
    Field("errors.retry.timeout", at_least(-1), "Accepted: what is down is waited for without end.", default=0),
    Field("errors.retry.delay.max.ms", at_least(1), "Accepted, as errors.retry.timeout.", default=60_000),
    Field(
        "restart.policy",
        choice("on-failure", "never"),
        "What happens to a failed task: on-failure starts it again with growing waits; never is Kafka Connect's way.",
        default="on-failure",
    ),
    Field(
        "restart.max.attempts",
        at_least(-1),
        "Restarts in a row before a task stays failed; -1: no end, as for what is down.",
        default=10,
    ),
    Field("restart.backoff.ms", at_least(1), "The first wait before a restart, in ms; it doubles.", default=1_000),
    Field("restart.backoff.max.ms", at_least(1), "The longest wait before a restart, in ms.", default=60_000),
)

SOURCE_FIELDS = (
    Field(
        "exactly.once.support",
        choice("requested", "required"),
        "required: fail at the start where the source cannot give exactly once.",
        default="requested",
    ),
    Field(
        "topic.creation.default.partitions",
        at_least(1),
        "Partitions of the topics that this source creates; the broker's num.partitions when not given.",
        default=None,
    ),
    Field(
        "topic.creation.default.replication.factor",
        whole_number(-1),
        "Replicas of the topics that this source creates; -1: the broker's default.",
        default=-1,
    ),
)

SINK_FIELDS = (
    Field(
        "value.schema",
        {"type": "object", "minProperties": 1},
        "Declared types of the value's columns, such as "
        '{"host": "string", "user": {"id": "int64"}, "tags": ["string"]}; found and kept from the first rows when not'
        " given. A column that was only null so far is then in no Parquet file yet: declare it here, or "
        "read such a folder with union_by_name in DuckDB, unify_schemas in pyarrow, pl.concat(..., how='diagonal') "
        "in Polars; other readers take the columns of one file for those of all.",
        default=None,
        shape={"additionalProperties": {"type": ["string", "object", "array"]}},
    ),
    Field("topics", names(), "The topics to read, separated by commas.", default=[]),
    Field("topics.regex", text(), "Read every topic whose name matches this pattern; instead of topics.", default=None),
    Field(
        "errors.deadletterqueue.topic.name",
        text(may_be_empty=True),
        "The topic for rows that cannot be converted, each once; with errors.tolerance=all. Empty: none.",
        default="",
    ),
    Field(
        "errors.deadletterqueue.topic.replication.factor",
        whole_number(-1),
        "Replicas of the dead-letter topic; -1: the broker's default.",
        default=-1,
    ),
    Field(
        "errors.deadletterqueue.context.headers.enable",
        flag(),
        "Tell in headers where a dead letter came from and why it failed.",
        default=True,
    ),
)
