"""A Java Kafka Streams application, killed twice on its way, answers on our broker as on a real Kafka.

exactly_once_v2, a repartition, a windowed and a plain store with changelogs. After the first kill it restores its
state, after the second without its folder too; under `millstream broker` the broker dies as well.
"""

import shutil
import signal
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from interop.order_totals import Answers, expected, make_orders, produce
from services.java import JavaProcess
from services.kafka import Kafka
from services.millstream import MillstreamBroker

PARTITIONS = 3
PORTION = 6_000
TIMEOUT_S = 240
FAST_START = ["-Xmx300m", "-XX:TieredStopAtLevel=1"]

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]


class Application:
    """The Streams application as a process that is started again and again with the same id."""

    def __init__(self, classes: str, arguments: list[str], folder: Path) -> None:
        self._classes = classes
        self._arguments = arguments
        self._folder = folder
        self._process: JavaProcess | None = None

    def start(self) -> None:
        assert self._process is None
        arguments = [
            "-Xmx300m",
            "-XX:TieredStopAtLevel=1",
            "OrderTotals",
            *self._arguments,
            str(self._folder / "state"),
        ]
        self._process = JavaProcess(self._classes, arguments, self._folder / "application.log")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process = None

    def stop(self) -> None:
        assert self._process is not None
        self._process.send(signal.SIGTERM)
        self._process.wait(TIMEOUT_S)
        self._process = None

    def forget_state(self) -> None:
        shutil.rmtree(self._folder / "state")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()


def test_an_application_that_is_killed_answers_each_order_once(
    server: MillstreamBroker | Kafka, java_classes: str, tmp_path: Path
) -> None:
    run = uuid.uuid4().hex[:8]
    orders_topic, minutes, customers = (f"{name}-{run}" for name in ("orders", "minutes", "customers"))
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    kept = {"retention.ms": "-1"}  # Orders are years old: a broker that looks for old records would delete them.
    topics = (orders_topic, minutes, customers)
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1, config=kept) for name in topics])
    for created in made.values():
        created.result(TIMEOUT_S)
    orders = make_orders(3 * PORTION, seed=7)
    arguments = [server.bootstrap, f"totals-{run}", orders_topic, minutes, customers]
    application = Application(java_classes, arguments, tmp_path)
    answers = Answers(server.bootstrap, [minutes, customers], PARTITIONS)
    with closing(application), closing(answers):
        application.start()
        produce(server.bootstrap, orders_topic, orders[:PORTION])
        answers.until(PORTION // 10)
        application.kill()

        application.start()
        produce(server.bootstrap, orders_topic, orders[PORTION : 2 * PORTION])
        answers.until(2 * PORTION + PORTION // 10)
        if isinstance(server, MillstreamBroker):
            server.kill()
            server.start()
            answers.until(2 * PORTION + PORTION // 4)
        application.kill()
        application.forget_state()

        application.start()
        produce(server.bootstrap, orders_topic, orders[2 * PORTION :])
        answers.until(2 * len(orders))
        application.stop()
        answers.to_end()

    by_minute, by_customer = expected(orders)
    for topic, totals in ((minutes, by_minute), (customers, by_customer)):
        assert {key: found[-1] for key, found in answers.found[topic].items()} == totals
        counts = {key: [count for count, _ in found] for key, found in answers.found[topic].items()}
        assert counts == {key: list(range(1, count + 1)) for key, (count, _) in totals.items()}
