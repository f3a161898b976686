"""The `millstream` command. A subcommand is imported when it is called, so that `--help` and the broker start fast."""

from typing import Annotated

import typer

from .. import __version__
from .group_commands import groups_app
from .options import DEFAULT_SERVER, AsJson, BootstrapServer

app = typer.Typer(
    name="millstream",
    help="Connectors, stream processing and a commit log in one process, on Kafka's own protocol.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"millstream {__version__}")
        raise typer.Exit


@app.callback()
def millstream(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Connectors, stream processing and a commit log in one process, on Kafka's own protocol."""
    del version


@app.command()
def broker(
    data_dir: Annotated[str, typer.Option("--data-dir", help="Where the log is kept.")] = "",
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT to serve on; port 0 takes a free one.")] = "",
    config: Annotated[str, typer.Option("--config", help="A file of Kafka's broker settings, key=value lines.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", "--override", help="One setting as key=value; may be repeated.")
    ] = None,
    metrics_listen: Annotated[
        str, typer.Option("--metrics-listen", help="HOST:PORT for Prometheus' /metrics, /health and /ready.")
    ] = "",
    list_settings: Annotated[bool, typer.Option("--settings", help="List all settings and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="List them in JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Serve topics to any Kafka client; prints `ready HOST:PORT` once it does.

    Settings have Kafka's names. Flags hold over KAFKA_NUM_PARTITIONS and its like in the environment, these over the
    file.

    Example: millstream broker --data-dir ./data --listen 127.0.0.1:9092
    """
    from . import broker as command

    if list_settings:
        command.list_settings(as_json=as_json)
        return
    options = command.BrokerOptions(
        data_dir=data_dir, listen=listen, config=config, settings=settings or [], metrics_listen=metrics_listen
    )
    command.run_broker(options, verbose=verbose)


@app.command()
def up(
    folder: Annotated[str, typer.Argument(help="A folder with connector configs (*.json) and topologies (*.py).")],
    bootstrap_server: Annotated[
        str, typer.Option("--bootstrap-server", "-b", help="host:port of a Kafka; default: embedded:FOLDER/data.")
    ] = "",
    listen: Annotated[
        str, typer.Option("--listen", help="HOST:PORT where other clients reach the embedded broker.")
    ] = "",
    to_end: Annotated[bool, typer.Option("--to-end", help="End when all that is there now is processed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Run everything found in a folder in one process: sources, topologies, sinks, and a broker if none is named.

    Example: millstream up ./pipeline --to-end
    """
    from .up import run_up

    run_up(folder, bootstrap_server, listen or None, to_end=to_end, verbose=verbose)


@app.command()
def connect(
    configs: Annotated[list[str], typer.Argument(help="Connector configs in JSON.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    to_end: Annotated[bool, typer.Option("--to-end", help="End when all that is there now is processed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Run connectors in one process, as Kafka Connect's standalone mode does.

    Example: millstream connect access-files.json lake.json -b 127.0.0.1:9092
    """
    from .up import run_connect

    run_connect(configs, bootstrap_server, to_end=to_end, verbose=verbose)


@app.command()
def run(
    app_file: Annotated[str, typer.Argument(help="A Python file that defines topologies.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    to_end: Annotated[bool, typer.Option("--to-end", help="End when all that is there now is processed.")] = False,
    describe: Annotated[bool, typer.Option("--describe", help="Print the topologies and end.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print them as Mermaid flow charts and end.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Run the topologies of a Python file.

    Example: millstream run pipeline.py -b embedded:./data --to-end
    """
    from .up import run_app

    run_app(
        app_file,
        bootstrap_server,
        to_end=to_end,
        show="mermaid" if mermaid else "text" if describe else "",
        verbose=verbose,
    )


topics_app = typer.Typer(help="List, create, describe and delete topics.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")


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


@app.command()
def produce(
    topic: Annotated[str, typer.Argument(help="The topic to write to.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    file: Annotated[str, typer.Option("--file", help="Read lines from this file instead of standard input.")] = "",
    key_separator: Annotated[
        str, typer.Option("--key-separator", help="What stands before this in a line is the key.")
    ] = "",
    compression: Annotated[str, typer.Option("--compression", help="none, gzip, snappy, lz4 or zstd.")] = "none",
) -> None:
    """Write lines to a topic, one record each.

    Example: echo 'k1:hello' | millstream produce logs --key-separator :
    """
    from .records import produce_lines

    produce_lines(bootstrap_server, topic, file, key_separator, compression)


@app.command()
def consume(
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    bootstrap_server: BootstrapServer = DEFAULT_SERVER,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Everything that is kept.")] = False,
    offset: Annotated[int, typer.Option("--offset", help="Begin at this offset of each partition.")] = -1,
    partition: Annotated[int, typer.Option("--partition", help="Only this partition.")] = -1,
    max_messages: Annotated[int, typer.Option("--max-messages", "-n", help="End after so many records.")] = -1,
    to_end: Annotated[bool, typer.Option("--to-end", help="End at what is there now.")] = False,
    read_committed: Annotated[
        bool, typer.Option("--read-committed", help="Leave out open and aborted transactions.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line, with offset, time, key and headers.")
    ] = False,
) -> None:
    """Print a topic's records, one a line.

    Example: millstream consume traffic-per-minute --from-beginning --to-end --json
    """
    from .records import Reading, consume_records

    reading = Reading(topic, from_beginning, offset, partition, max_messages, to_end, read_committed)
    consume_records(bootstrap_server, reading, as_json=as_json)


app.add_typer(groups_app, name="groups")


@app.command()
def warm() -> None:
    """Compile all kernels now, once per installation, so that the first run does not wait for it.

    Example: millstream warm
    """
    from .warm import warm as compile_all

    compile_all()


def main() -> None:
    """Entry point of the `millstream` command."""
    app()
