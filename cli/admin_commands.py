"""The options of `millstream configs` and `millstream transactions`. What they do is imported when it is called."""

from typing import Annotated

import typer

from .options import DEFAULT_SERVER, AsJson, BootstrapServer, ConfigKind, WholeSummaries

configs_app = typer.Typer(
    cls=WholeSummaries,
    help="Show, set and take back settings of topics, brokers and groups.\n\n"
    "Example: millstream configs describe topic logs --all",
    no_args_is_help=True,
)
transactions_app = typer.Typer(
    cls=WholeSummaries,
    help="List and describe transactions, find and abort hanging ones.\n\n"
    "Example: millstream transactions list --state Ongoing",
    no_args_is_help=True,
)


Kind = Annotated[ConfigKind, typer.Argument(help="What has the settings: topic, broker or group.")]
Name = Annotated[str, typer.Argument(help="Its name; a broker's id, or all for what the brokers share.")]


@configs_app.command("describe")
def configs_describe(
    kind: Kind,
    names: Annotated[list[str], typer.Argument(help="Names; of brokers their ids, or all for what they share.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    everything: Annotated[bool, typer.Option("--all", help="Also settings that have their default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings that differ from their defaults, and who set them.

    Example: millstream configs describe topic logs --all
    """
    from .configs import describe_configs

    describe_configs(bootstrap_server, kind, names, everything=everything, as_json=as_json)


@configs_app.command("set")
def configs_set(
    kind: Kind,
    name: Name,
    settings: Annotated[list[str], typer.Argument(help="Settings as key=value.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Set some settings and leave the others; all of them or, if one is wrong, none.

    Example: millstream configs set topic logs retention.ms=86400000 cleanup.policy=delete
    """
    from .configs import alter_configs

    alter_configs(bootstrap_server, kind, name, values=settings)


@configs_app.command("unset")
def configs_unset(
    kind: Kind,
    name: Name,
    settings: Annotated[list[str], typer.Argument(help="Names of settings that go back to their default.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Take settings back to their defaults.

    Example: millstream configs unset topic logs retention.ms
    """
    from .configs import alter_configs

    alter_configs(bootstrap_server, kind, name, unset=settings)


@transactions_app.command("list")
def transactions_list(
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only in this state, such as Ongoing; may be repeated.")
    ] = None,
    producer_id: Annotated[
        list[int] | None, typer.Option("--producer-id", help="Only of this producer; may be repeated.")
    ] = None,
    running: Annotated[str, typer.Option("--running", help="Only open for longer than this, such as 5m.")] = "",
    as_json: AsJson = False,
) -> None:
    """List transactional ids with their producers and states.

    Example: millstream transactions list --state Ongoing --running 5m
    """
    from .transactions import list_transactions

    list_transactions(bootstrap_server, state or [], producer_id or [], running, as_json=as_json)


@transactions_app.command("describe")
def transactions_describe(
    transactional_ids: Annotated[list[str], typer.Argument(help="Transactional ids.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Show when a transaction began, its timeout, and the partitions in it.

    Example: millstream transactions describe connect-lines
    """
    from .transactions import describe_transactions

    describe_transactions(bootstrap_server, transactional_ids, as_json=as_json)


@transactions_app.command("producers")
def transactions_producers(
    topics: Annotated[list[str], typer.Argument(help="Topics, or some of their partitions as logs:0,2-4.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Show the producers that partitions remember, and where their open transactions begin.

    Example: millstream transactions producers logs:0
    """
    from .transactions import list_producers

    list_producers(bootstrap_server, topics, as_json=as_json)


@transactions_app.command("find-hanging")
def transactions_find_hanging(
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Only here, as logs or logs:0,2-4; may be repeated.")
    ] = None,
    longest: Annotated[
        str, typer.Option("--longest", help="The longest that a transaction may be silent: transaction.max.timeout.ms.")
    ] = "15m",
    as_json: AsJson = False,
) -> None:
    """Find transactions that a partition waits for and that no coordinator knows to be open.

    Example: millstream transactions find-hanging --topic logs
    """
    from .transactions import find_hanging

    find_hanging(bootstrap_server, topic or [], longest, as_json=as_json)


@transactions_app.command("abort")
def transactions_abort(
    partition: Annotated[str, typer.Argument(help="The partition, as logs:0.")],
    start_offset: Annotated[int, typer.Option("--start-offset", help="Where the transaction begins in it.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
) -> None:
    """Abort a hanging transaction in one partition. Not for one that its coordinator knows: see find-hanging.

    Example: millstream transactions abort logs:0 --start-offset 4711
    """
    from .transactions import abort_transaction

    abort_transaction(bootstrap_server, partition, start_offset)
