"""The options of `millstream produce` and `millstream consume`. What they do is imported when it is called."""

from typing import Annotated

import typer

from .options import DEFAULT_SERVER, BootstrapServer


def produce(
    topic: Annotated[str, typer.Argument(help="The topic to write to.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    file: Annotated[str, typer.Option("--file", help="Read lines from this file instead of standard input.")] = "",
    key_separator: Annotated[
        str, typer.Option("--key-separator", help="What stands before this in a line is the key; each line has it.")
    ] = "",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="name=value for every record; may be repeated.")
    ] = None,
    partition: Annotated[int, typer.Option("--partition", min=-1, help="Write to this one; -1: by key.")] = -1,
    compression: Annotated[str, typer.Option("--compression", help="none, gzip, snappy, lz4 or zstd.")] = "none",
    transactional_id: Annotated[
        str,
        typer.Option("--transactional-id", help="Write all lines in one transaction of this producer, or none."),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Each line is an object: value, and key, headers and timestamp if given.")
    ] = False,
) -> None:
    """Write lines to a topic, one record each. A line that is wrong ends it, and is named by its number.

    With --json, text is written as UTF-8, {"base64": "..."} as those bytes, null as no value, and anything else as its
    JSON; headers are an object or a list of pairs, a timestamp is ms since 1970 or ISO 8601. What consume --json
    prints can be read again: partition and offset are passed over.

    Example: echo 'k1:hello' | millstream produce logs --key-separator :

    Example: echo '{"key": "k1", "value": {"n": 1}, "headers": {"from": "me"}}' | millstream produce logs --json
    """
    from .produce import Writing, produce_lines

    writing = Writing(
        topic=topic,
        file=file,
        key_separator=key_separator,
        headers=header or (),
        partition=partition,
        compression=compression,
        transactional_id=transactional_id,
        as_json=as_json,
    )
    produce_lines(bootstrap_server, writing)


def consume(
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Everything that is kept.")] = False,
    offset: Annotated[
        int | None, typer.Option("--offset", help="Begin at this offset of each partition; negative: from the end.")
    ] = None,
    from_time: Annotated[
        str, typer.Option("--from-time", help="Begin at 2026-01-31T08:00:00, at so many ms, or so long ago: 10m.")
    ] = "",
    tail: Annotated[int | None, typer.Option("--tail", help="Begin so many offsets before each end.")] = None,
    partition: Annotated[
        list[int] | None, typer.Option("--partition", help="Only this partition; may be repeated.")
    ] = None,
    group: Annotated[
        str, typer.Option("--group", help="As a member of this group, from its offsets on; commits what is shown.")
    ] = "",
    max_messages: Annotated[
        int, typer.Option("--max-messages", "-n", min=-1, help="End after so many records are shown.")
    ] = -1,
    to_end: Annotated[bool, typer.Option("--to-end", help="End at what is there now.")] = False,
    read_committed: Annotated[
        bool, typer.Option("--read-committed", help="Leave out open and aborted transactions.")
    ] = False,
    condition: Annotated[
        str,
        typer.Option("--filter", help="A SQL condition on the fields of JSON values, such as status >= 500."),
    ] = "",
    grep: Annotated[str, typer.Option("--grep", help="Only records whose value or key holds this text.")] = "",
    form: Annotated[str, typer.Option("--format", help="text, json, hex, or parquet with --output.")] = "text",
    output: Annotated[str, typer.Option("--output", help="The file for --format parquet.")] = "",
    headers: Annotated[bool, typer.Option("--headers", help="In text: headers before the value.")] = False,
    key: Annotated[bool, typer.Option("--key", help="In text: the key before the value.")] = False,
    timestamp: Annotated[bool, typer.Option("--timestamp", help="In text: the time before the value.")] = False,
    position: Annotated[bool, typer.Option("--position", help="In text: partition:offset before the value.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json: an object a line.")] = False,
) -> None:
    """Print a topic's records, one a line; from the end on unless another place to begin is given.

    --filter sees an object's fields by their names ("a.b" in double quotes is field b of object a), and the record's
    own _key, _partition, _offset and _timestamp (ms). A field that is missing is null. What is no JSON object is left
    out, and in the end counted.

    Example: millstream consume traffic-per-minute --from-beginning --to-end --json

    Example: millstream consume access --from-time 1h --filter "status >= 500 AND host LIKE '10.%'" --key
    """
    from .consume import Reading, Showing, Start, consume_records
    from .record_output import TextColumns

    reading = Reading(
        topic=topic,
        start=Start(from_beginning=from_beginning, offset=offset, tail=tail, from_time=from_time),
        partitions=partition or (),
        group=group,
        max_messages=max_messages,
        to_end=to_end,
        read_committed=read_committed,
        condition=condition,
        text=grep,
    )
    columns = TextColumns(timestamp=timestamp, position=position, headers=headers, key=key)
    showing = Showing(form="json" if as_json else form, output=output, columns=columns)
    consume_records(bootstrap_server, reading, showing)
