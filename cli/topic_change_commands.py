"""The options of `millstream topics alter` and `delete-records`. What they do is imported when it is called."""

from typing import Annotated

import typer

from .options import DEFAULT_SERVER, BootstrapServer


def topics_alter(
    names: Annotated[list[str], typer.Argument(help="Names of the topics.")],
    partitions: Annotated[int, typer.Option("--partitions", min=1, help="How many there shall be; never fewer.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Give topics more partitions. Settings are changed by millstream configs.

    Example: millstream topics alter logs --partitions 12
    """
    from .topic_changes import alter_topics

    alter_topics(bootstrap_server, names, partitions)


def topics_delete_records(
    topics: Annotated[list[str], typer.Argument(help="Topics, or some of their partitions as logs:0,2-4.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    before_offset: Annotated[
        int | None, typer.Option("--before-offset", min=-1, help="Delete what stands before it; -1: everything.")
    ] = None,
    before_time: Annotated[
        str, typer.Option("--before-time", help="Delete up to the first record at or after this time, or 7d ago.")
    ] = "",
) -> None:
    """Delete the oldest records of topics. There is no way back.

    Example: millstream topics delete-records logs --before-time 7d
    """
    from .topic_changes import delete_records

    delete_records(bootstrap_server, topics, before_offset, before_time)
