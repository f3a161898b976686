"""The `millstream` command. A subcommand is imported when it is called, so that `--help` and the broker start fast."""

from typing import Annotated

import typer

from .. import __version__
from .admin_commands import configs_app, transactions_app
from .group_commands import groups_app
from .options import DEFAULT_SERVER, AsJson, BootstrapServer, WholeSummaries
from .plugins import plugins
from .record_commands import consume, produce
from .topic_commands import topics_app

app = typer.Typer(
    name="millstream",
    cls=WholeSummaries,
    help="Connectors, stream processing and a commit log in one process, on Kafka's own protocol.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
StreamsSettings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of Kafka Streams as key=value, such as process.id=2; may be repeated."),
]


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
    log_format: Annotated[str, typer.Option("--log-format", help="text or json, a line for each event.")] = "text",
    log_level: Annotated[
        str, typer.Option("--log-level", help="LEVEL, LOGGER=LEVEL, or several with commas between.")
    ] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="The same as --log-level debug.")] = False,
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
        data_dir=data_dir,
        listen=listen,
        config=config,
        settings=settings or [],
        metrics_listen=metrics_listen,
        log_format=log_format,
        log_level=log_level,
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
    settings: StreamsSettings = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Run everything found in a folder in one process: sources, topologies, sinks, and a broker if none is named.

    Example: millstream up ./pipeline --to-end
    """
    from .up import run_up

    run_up(folder, bootstrap_server, listen or None, to_end=to_end, verbose=verbose, settings=settings or [])


@app.command()
def connect(
    configs: Annotated[list[str], typer.Argument(help="Connector configs, and a worker's .properties file.")],
    bootstrap_server: Annotated[
        str,
        typer.Option(
            "--bootstrap-server", "-b", help=f"host:port or embedded:DIR; default: the worker's, else {DEFAULT_SERVER}."
        ),
    ] = "",
    to_end: Annotated[bool, typer.Option("--to-end", help="End when all that is there now is processed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Run connectors in one process, as Kafka Connect's standalone mode does, from JSON or .properties files.

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
    settings: StreamsSettings = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Run the topologies of a Python file.

    Example: millstream run pipeline.py -b embedded:./data --to-end
    """
    from .up import AppRun, run_app

    app_run = AppRun(app_file, settings or [], "mermaid" if mermaid else "text" if describe else "")
    run_app(app_run, bootstrap_server, to_end=to_end, verbose=verbose)


app.add_typer(topics_app, name="topics")
app.command()(produce)
app.command()(consume)
app.add_typer(groups_app, name="groups")
app.add_typer(configs_app, name="configs")
app.add_typer(transactions_app, name="transactions")
app.command()(plugins)


@app.command("dump-log")
def dump_log(
    files: Annotated[list[str], typer.Argument(help="Files of a data directory: .log, .index, .snapshot and so on.")],
    print_data_log: Annotated[bool, typer.Option("--print-data-log", help="Also show each record.")] = False,
    decoder: Annotated[
        str, typer.Option("--decoder", help="What records mean: auto (by directory), offsets, transactions or none.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Show what the files of a log hold, without a broker; ends with code 1 when something is damaged.

    Example: millstream dump-log data/logs-0/00000000000000000000.log --print-data-log
    """
    from .dump_log import dump_log as dump

    dump(files, print_data=print_data_log, decoder=decoder, as_json=as_json)


@app.command()
def warm() -> None:
    """Compile all kernels now, once per installation, so that the first run does not wait for it.

    Example: millstream warm
    """
    from .console import say
    from .warm import warm as compile_all

    compile_all()
    say("all kernels are compiled")
