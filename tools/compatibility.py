"""Writes the tables of docs/compatibility.md from the code: `python tools/compatibility.py` after a change. Shell.

A table stands between `<!-- table NAME -->` and `<!-- end -->`; the text around them is written by hand. Checked by
tests/project/test_compatibility.py.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from millstream.core.broker.handlers import ROUTES
from millstream.core.broker.settings.config import BROKER_CONFIG, TOPIC_DEFAULTS
from millstream.core.broker.settings.dynamic_settings import OWN_SETTINGS, WITHOUT_EFFECT
from millstream.core.broker.settings.foreign_settings import REFUSED, WITHOUT_MEANING
from millstream.core.config import REQUIRED, TOPIC_CONFIG, ConfigDef
from millstream.core.errors import WireError
from millstream.core.wire.apis import API_NAMES, request_class

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
TABLE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def _head(*cells: str) -> str:
    return _row(*cells) + _row(*("---" for _ in cells))


def _kafka_versions(api_key: int) -> str | None:
    """The versions that Kafka 4.3.1 has; None where only the key is left."""
    try:
        request = request_class(api_key)
    except WireError:
        return None
    return _span(request.MIN_VERSION, request.MAX_VERSION)


def _span(lowest: int, highest: int) -> str:
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"


def _summary(module: str) -> str:
    """The first sentence of a handler's header, without the name of the API."""
    source = (ROOT / "core" / "broker" / "handlers" / f"{module}.py").read_text()
    header = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    sentence = re.split(r"[.;] ", header.partition(": ")[2], maxsplit=1)[0]
    return sentence.rstrip(".")


def apis() -> Iterator[str]:
    yield _head("key", "API", "versions here", "versions in Kafka 4.3.1", "what it does here")
    for api_key, route in sorted(ROUTES.items()):
        served, kafka = _span(*route.versions), _kafka_versions(api_key)
        yield _row(api_key, API_NAMES[api_key], served, kafka, _summary(route.module))


def other_apis() -> Iterator[str]:
    names = [f"{name} ({key})" for key, name in sorted(API_NAMES.items()) if key not in ROUTES and _kafka_versions(key)]
    yield ", ".join(names) + ".\n"


def _settings(definition: ConfigDef[object]) -> Iterator[str]:
    yield _head("name", "default", "allowed", "what it does here")
    for name, field in sorted(definition.fields.items()):
        default = "required" if field.default is REQUIRED else field.text(field.default)
        yield _row(f"`{name}`", default if default else "", field.allowed(), field.doc)


def topic_settings() -> Iterator[str]:
    return _settings(TOPIC_CONFIG)


def broker_settings() -> Iterator[str]:
    return _settings(BROKER_CONFIG)


def topic_defaults() -> Iterator[str]:
    yield _head("setting of the broker", "default of the topic's")
    for name, (topic_name, _) in sorted(TOPIC_DEFAULTS.items()):
        yield _row(f"`{name}`", f"`{topic_name}`")


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}*`" if name.endswith(".") else f"`{name}`" for name in names)


def changing_settings() -> Iterator[str]:
    yield _head("what a change does", "settings")
    yield _row("takes effect at once", _names(sorted({*OWN_SETTINGS} - WITHOUT_EFFECT.keys())))
    yield _row(
        "is the default of topics at once", _names(sorted(n for n, (_, unit) in TOPIC_DEFAULTS.items() if unit == 1))
    )
    yield _row("is kept and shown, and moves nothing here", _names(sorted(WITHOUT_EFFECT)))


def unused_settings() -> Iterator[str]:
    yield _head("why", "settings of Kafka")
    for why, names in WITHOUT_MEANING.items():
        yield _row(why, _names(names.split()))


def refused_settings() -> Iterator[str]:
    yield _head("setting of Kafka", "what the message says")
    for name, rule in REFUSED.items():
        yield _row(f"`{name}`", rule("any other value"))


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "apis": apis,
    "other_apis": other_apis,
    "topic_settings": topic_settings,
    "broker_settings": broker_settings,
    "topic_defaults": topic_defaults,
    "changing_settings": changing_settings,
    "unused_settings": unused_settings,
    "refused_settings": refused_settings,
}


def rewritten(page: str) -> str:
    """The page with every table as the code has it now."""
    return TABLE.sub(lambda found: found[1] + "".join(TABLES[found[2]]()) + found[3], page)


def main() -> int:
    PAGE.write_text(rewritten(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
