"""The options of `millstream topics`. What they do is imported when it is called."""

from typing import Annotated

import typer

from .options import DEFAULT_SERVER, AsJson, BootstrapServer, WholeSummaries

topics_app = typer.Typer(
    cls=WholeSummaries,
    help="List, create, describe, alter and delete topics.\n\nExample: millstream topics list -b 127.0.0.1:9092",
    no_args_is_help=True,
)


@topics_app.command("list")
def topics_list(
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    internal: Annotated[bool, typer.Option("--internal", help="Also the topics that Kafka keeps for itself.")] = False,
    as_json: AsJson = False,
) -> None:
    """List topics with their partitions and how many offsets those span, markers of transactions among them.

    Example: millstream topics list -b 127.0.0.1:9092
    """
    from .topics import list_topics

    list_topics(bootstrap_server, internal=internal, as_json=as_json)


@topics_app.command("create")
def topics_create(
    names: Annotated[list[str], typer.Argument(help="Names of the topics.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    partitions: Annotated[int, typer.Option("--partitions", help="-1: the broker's default.")] = -1,
    replication_factor: Annotated[int, typer.Option("--replication-factor", help="-1: the broker's default.")] = -1,
    config: Annotated[list[str] | None, typer.Option("--config", help="key=value; may be repeated.")] = None,
) -> None:
    """Create topics.

    Example: millstream topics create logs --partitions 6 --config retention.ms=86400000
    """
    from .topics import create_topics

    create_topics(bootstrap_server, names, partitions, replication_factor, config or [])


@topics_app.command("describe")
def topics_describe(
    name: Annotated[str, typer.Argument(help="Name of the topic.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Show a topic's partitions, offsets and settings.

    Example: millstream topics describe logs
    """
    from .topics import describe_topic

    describe_topic(bootstrap_server, name, as_json=as_json)


@topics_app.command("delete")
def topics_delete(
    names: Annotated[list[str], typer.Argument(help="Names of the topics.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Delete topics with all their records.

    Example: millstream topics delete logs
    """
    from .topics import delete_topics

    delete_topics(bootstrap_server, names)


@topics_app.command("alter")
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


@topics_app.command("delete-records")
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
