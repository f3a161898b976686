"""The options of `millstream groups`. What they do is imported when it is called."""

from typing import Annotated

import typer

from .options import DEFAULT_SERVER, AsJson, BootstrapServer, WholeSummaries

groups_app = typer.Typer(
    cls=WholeSummaries,
    help="List and describe consumer groups, reset and delete their offsets.\n\n"
    "Example: millstream groups describe connect-lake",
    no_args_is_help=True,
)
Group = Annotated[str, typer.Argument(help="Name of the group.")]
TOPIC_HELP = "A topic, or some of its partitions as logs:0,2-4; may be repeated."


@groups_app.command("list")
def groups_list(
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only groups in this state, such as stable; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List consumer groups with their states.

    Example: millstream groups list --state stable
    """
    from .groups import list_groups

    list_groups(bootstrap_server, state or [], as_json=as_json)


@groups_app.command("describe")
def groups_describe(
    groups: Annotated[list[str] | None, typer.Argument(help="Names of the groups; all of them with --all.")] = None,
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    everything: Annotated[bool, typer.Option("--all", help="Every group there is.")] = False,
    members: Annotated[
        bool, typer.Option("--members", help="The members and what each reads, instead of the offsets.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show each partition's committed offset, and how far the group is behind in records and in time.

    lag: offsets from the committed one to the end, markers of transactions among them, as Kafka's tools count it.

    time lag: the largest timestamp of any record in the partition less the timestamp of the first record at or after
    the committed offset, which is read for this; 0s when nothing is left to read. It does not grow while nothing is
    written.

    Example: millstream groups describe connect-lake
    """
    from .groups import describe_groups

    describe_groups(bootstrap_server, groups or [], everything=everything, members=members, as_json=as_json)


@groups_app.command("reset-offsets")
def groups_reset_offsets(
    group: Group,
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    topic: Annotated[list[str] | None, typer.Option("--topic", help=TOPIC_HELP)] = None,
    all_topics: Annotated[
        bool, typer.Option("--all-topics", help="Every partition in which the group has an offset.")
    ] = False,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="To the first record that is kept.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="To the end.")] = False,
    to_current: Annotated[
        bool, typer.Option("--to-current", help="To the committed offset; to the end where there is none.")
    ] = False,
    to_offset: Annotated[int | None, typer.Option("--to-offset", help="To this offset.")] = None,
    shift_by: Annotated[
        int | None, typer.Option("--shift-by", help="By so many records on, or back if negative.")
    ] = None,
    to_datetime: Annotated[
        str,
        typer.Option("--to-datetime", help="To the first record at or after 2026-01-31T08:00:00, or so many ms."),
    ] = "",
    by_duration: Annotated[
        str, typer.Option("--by-duration", help="To the first record of the last 90s, 1h30m or PT1H30M.")
    ] = "",
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without this nothing is changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which offsets a group without members would go on with; with --execute set them.

    Offsets outside what a partition holds become the nearest that it does. Where no record is as late as the time
    given, the offset is the end.

    Example: millstream groups reset-offsets connect-lake --topic logs --by-duration 1h --execute
    """
    from .console import errors_told
    from .group_reset import reset_offsets, target_of

    with errors_told():
        target = target_of(
            to_earliest=to_earliest,
            to_latest=to_latest,
            to_current=to_current,
            to_offset=to_offset,
            shift_by=shift_by,
            to_datetime=to_datetime,
            by_duration=by_duration,
        )
    reset_offsets(bootstrap_server, group, topic or [], target, all_topics=all_topics, execute=execute, as_json=as_json)


@groups_app.command("delete")
def groups_delete(
    groups: Annotated[list[str], typer.Argument(help="Names of the groups.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Delete groups that have no members, with their offsets.

    Example: millstream groups delete connect-lake
    """
    from .groups import delete_groups

    delete_groups(bootstrap_server, groups)


@groups_app.command("delete-offsets")
def groups_delete_offsets(
    group: Group,
    topic: Annotated[list[str], typer.Option("--topic", help=TOPIC_HELP)],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Delete a group's offsets in topics that its members do not read.

    Example: millstream groups delete-offsets connect-lake --topic old-logs
    """
    from .groups import delete_offsets

    delete_offsets(bootstrap_server, group, topic)
