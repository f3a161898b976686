"""`millstream plugins`: which connectors there are, what each takes, and its JSON Schema. Shell.

Tested in tests/docs/test_connectors_page.py.
"""

import json
import shutil
from collections.abc import Sequence
from typing import Annotated

import typer

from .console import errors_told, is_terminal, set_up_logging, show_rows
from .tables import wrapped

INDENT = "    "
WIDTH_MAX = 100


def plugins(
    name: Annotated[str, typer.Argument(help="A connector, for what it takes; all of them when left out.")] = "",
    json_schema: Annotated[bool, typer.Option("--json-schema", help="The JSON Schema of its config.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference of all connectors as a page.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List connectors, or show every key of one.

    Example: millstream plugins filesystem
    """
    set_up_logging(verbose=False)
    with errors_told():
        show_plugins(name, json_schema=json_schema, markdown=markdown, as_json=as_json)


def show_plugins(name: str, *, json_schema: bool, markdown: bool, as_json: bool) -> None:
    """Raises ConfigError for a name that no connector has."""
    from ..connect.reference import options, own_first, page
    from ..connect.registry import all_connectors, built_in, find
    from ..core.errors import ConfigError

    if markdown:
        print(page(built_in()), end="")
        return
    if not name:
        if json_schema:
            raise ConfigError("--json-schema goes with the name of a connector: millstream plugins lists them")
        rows = [(one.spec.name, one.spec.kind, one.spec.summary, one.spec.delivery) for one in all_connectors()]
        show_rows(("name", "kind", "what it does", "delivery"), rows, as_json=as_json)
        return
    spec = find(name).spec
    if json_schema:
        print(json.dumps(spec.json_schema(), indent=2))
        return
    found = [(option.name, option.values, option.default, option.doc) for option in options(own_first(spec))]
    if is_terminal() and not as_json:
        _print_keys(f"{spec.name}: {spec.summary}", found)
    else:
        show_rows(("key", "values", "default", "what it is"), found, as_json=as_json)


def _print_keys(title: str, keys: Sequence[tuple[str, str, str, str]]) -> None:
    """Each key on a line with what it takes, and below it what it is: keys are long, and sentences longer."""
    width = min(shutil.get_terminal_size().columns, WIDTH_MAX) - len(INDENT)
    print("\n".join(wrapped(title, width)))
    for name, values, default, doc in keys:
        otherwise = default if default in ("", "required") else f"default {default}"
        takes = wrapped(f"({'; '.join(filter(None, (values, otherwise)))})", width)
        fits = len(takes) == 1 and len(name) + 1 + len(takes[0]) <= width
        print(f"\n{name} {takes[0]}" if fits else f"\n{name}")
        for line in (*(() if fits else takes), *wrapped(doc, width)):
            print(INDENT + line)
