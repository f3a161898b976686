"""Rates of work that runs on one thread: the best of several runs, in CPU time, which a busy machine disturbs least."""

import json
import time
from collections.abc import Callable
from importlib.metadata import version

SECONDS_EACH = 1.5


class Rates:
    """Collects rates, prints each as it comes, and all of them as a last line of JSON."""

    def __init__(self, unit: str, packages: tuple[str, ...]) -> None:
        self.unit = unit
        self.said: dict[str, object] = {"versions": {package: version(package) for package in packages}}
        print(", ".join(f"{package} {version(package)}" for package in packages))

    def measure(self, name: str, count: int, work: Callable[[], object]) -> None:
        """`work` treats `count` units; it runs once to warm up."""
        work()
        best_s, deadline_s = float("inf"), time.monotonic() + SECONDS_EACH
        while time.monotonic() < deadline_s:
            start_s = time.process_time()
            work()
            best_s = min(best_s, time.process_time() - start_s)
        rate = count / best_s / 1e6
        self.said[name] = round(rate, 3)
        print(f"{name:58} {rate:8.2f} M {self.unit}/s   {best_s / count * 1e9:8.0f} ns each")

    def close(self) -> None:
        print(json.dumps(self.said))
