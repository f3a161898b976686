"""The files source's config. Pure. Tested in tests/connect/test_spec.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...common_fields import COMMON_FIELDS, COMMON_PREFIXES, SOURCE_FIELDS
from ...spec import ConnectorSpec, Field, at_least, choice, flag, names, text, whole_number

FIELDS = (
    Field("paths", names(), "Files to read: paths or globs, separated by commas; ** goes into folders.", default=[]),
    Field("file", text(), "One file to read, as Kafka Connect's FileStreamSource names it.", default=None),
    Field("exclude", names(), "Globs of files that are left out.", default=[]),
    Field("topic", text(pattern=r"^[a-zA-Z0-9._-]{1,249}$"), "The topic that the lines go to."),
    Field(
        "start.position",
        choice("beginning", "end"),
        "Where to begin in the files that are there at the first start; files that come later are read whole.",
        default="beginning",
    ),
    Field(
        "max.line.bytes",
        whole_number(1, 900_000_000),
        "A longer line is cut off here, with a warning.",
        default=1_000_000,
    ),
    Field(
        "batch.bytes", whole_number(1_024, 1_000_000_000), "About how many bytes are read at a time.", default=4_194_304
    ),
    Field(
        "poll.interval.ms",
        whole_number(10, 1_000),
        "How often to look for changes that no event told of, in ms.",
        default=1_000,
    ),
    Field("ignore.older.ms", at_least(-1), "Leave out files not changed for this long, in ms; -1: none.", default=-1),
    Field(
        "forget.after.ms",
        at_least(-1),
        "How long the position of a file that is gone is kept, in ms; -1: for ever.",
        default=604_800_000,
    ),
    Field("headers.enable", flag(), "Give each record the headers file.path and file.offset.", default=True),
    Field("task.index", at_least(0), "Set by the worker: which share of the folders this task reads.", default=0),
    Field("task.count", at_least(1), "Set by the worker: how many tasks share the folders.", default=1),
)

SPEC = ConnectorSpec(
    name="files",
    kind="source",
    summary="Reads lines from files as they are written, through rotation, truncation and compression",
    delivery="exactly once: lines and file positions are committed in one transaction",
    fields=COMMON_FIELDS + SOURCE_FIELDS + FIELDS,
    prefixes=COMMON_PREFIXES,
)


@dataclass(frozen=True, slots=True)
class FilesConfig:
    """The source's settings, typed."""

    globs: tuple[str, ...]
    exclude: tuple[str, ...]
    topic: str
    from_end: bool
    line_bytes_max: int
    batch_bytes: int
    poll_interval_ms: int
    ignore_older_ms: int
    forget_after_ms: int
    headers: bool
    task_index: int
    task_count: int


def files_config(values: Mapping[str, Any]) -> FilesConfig:
    return FilesConfig(
        globs=(*values["paths"], *([values["file"]] if values["file"] else [])),
        exclude=tuple(values["exclude"]),
        topic=values["topic"],
        from_end=values["start.position"] == "end",
        line_bytes_max=values["max.line.bytes"],
        batch_bytes=max(values["batch.bytes"], values["max.line.bytes"] + 1),
        poll_interval_ms=values["poll.interval.ms"],
        ignore_older_ms=values["ignore.older.ms"],
        forget_after_ms=values["forget.after.ms"],
        headers=values["headers.enable"],
        task_index=values["task.index"],
        task_count=values["task.count"],
    )


def split(values: Mapping[str, Any], tasks_max: int) -> list[Mapping[str, Any]]:
    """One config a task; each reads its share of the folders, so that all lives of a log stay with one task."""
    return [dict(values) | {"task.index": index, "task.count": tasks_max} for index in range(tasks_max)]
