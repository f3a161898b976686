"""docs/operations.md: its commands run, its settings are all there are, and its metrics those that the page shows.

`cd tests; python -m docs.test_operations_page` writes the table of settings anew.
"""

import asyncio
import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from core.broker.running import batch_of, produce
from core.broker.test_monitoring import watched
from core.broker.wire_client import WireClient
from docs.samples import ROOT, Block, Reader, blocks
from services.java import free_port

from millstream.core.broker.settings.config_views import setting_rows

PAGE = ROOT / "docs" / "operations.md"
TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)
METRICS_ADDRESS = "127.0.0.1:9308"


def table() -> str:
    """Of all settings; LONG_MAX is no number for people."""
    rows = ["| setting | default | unit | what it does |", "|---|---|---|---|"]
    for name, default, unit, doc in setting_rows():
        shown = "no limit" if default in (str(2**63 - 1), str(2**31 - 1)) else default
        rows.append(f"| `{name}` | {shown.replace('|', '/')} | {unit} | {doc} |")
    return "\n".join(rows) + "\n"


class Operator(Reader):
    """A reader whose metrics have a port of their own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._metrics_port = free_port()

    def adapted(self, code: str) -> str:
        return super().adapted(code).replace(METRICS_ADDRESS, f"127.0.0.1:{self._metrics_port}")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    someone = Operator(tmp_path)
    yield someone
    someone.close()


def test_the_settings_are_those_of_the_broker() -> None:
    found = TABLE.search(PAGE.read_text())

    assert found is not None
    assert found[0] == table(), "run: cd tests; python -m docs.test_operations_page"


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(operator: Operator) -> None:
    printed = []
    for block in blocks(PAGE):
        if block.file == "stopped":
            operator.close()
        if block.file and block.language == "sh":
            printed.append(operator.shell(block))
        elif block.file:
            operator.write(block)
        else:
            printed.append(operator.shell(Block(block.language, "", _with_errors(block.code), block.line)))

    faults, pages = printed[2], printed[3]
    assert [line.split(":")[0] for line in faults.splitlines()] == ["error"] * 3
    assert all(
        word in faults for word in ("num.partitions='many'", "did you mean log.retention.hours?", "SSL speaks SSL")
    )
    body, _ = json.JSONDecoder().raw_decode(pages)
    assert body["status"] == "healthy"
    assert "kafka_server_kafkaserver_brokerstate 3" in pages
    assert (operator.folder / "millstream-data" / ".kafka_cleanshutdown").exists()
    service = configparser.ConfigParser()
    service.read_string((operator.folder / "millstream.service").read_text())
    assert service["Service"]["ExecStart"].split()[1] == "broker"


def _with_errors(code: str) -> str:
    return code.replace(" || true", " 2>&1 || true")


def test_the_metrics_are_those_that_the_broker_shows(tmp_path: Path) -> None:
    shown = set(re.findall(r"^# TYPE (\S+)", asyncio.run(_metrics(tmp_path)), re.MULTILINE))
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `(kafka_|millstream_|process_)", line)]

    assert {name for row in rows for name in re.findall(r"`((?:kafka|millstream|process)_\w+)`", row)} == shown


async def _metrics(folder: Path) -> str:
    async with watched(folder) as one:
        await one.broker.cluster.create_topic("t", 1, {})
        async with WireClient(one.server.address) as client:
            await client.ask(produce("t", batch_of(b"a"), acks=1), 9)
        return (await one.page("/metrics"))[1]


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
