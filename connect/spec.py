"""One description per connector, from which validation, REST answers, docs and editor completion are derived. Pure.

A config is a flat map of Kafka Connect's keys to strings, numbers or booleans. validate() turns it into typed values or
raises one ConfigError with every fault. The rules stand in the connector's JSON Schema; jsonschema checks them.
Tested in tests/connect/test_spec.py.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, Literal

from jsonschema import Draft202012Validator

from ..core.errors import ConfigError

REQUIRED: Final = object()
NEAR_MISS = 0.84
DIGITS_MAX = 20
SECRET_SHOWN_AS = "[hidden]"

Schema = Mapping[str, Any]


def text(*, pattern: str | None = None) -> Schema:
    return {"type": "string", "minLength": 1} | ({"pattern": pattern} if pattern else {})


def whole_number(minimum: int | None = None, maximum: int | None = None) -> Schema:
    bounds = {"minimum": minimum, "maximum": maximum}
    return {"type": "integer"} | {name: bound for name, bound in bounds.items() if bound is not None}


def at_least(minimum: int) -> Schema:
    return whole_number(minimum)


def flag() -> Schema:
    return {"type": "boolean"}


def choice(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def names() -> Schema:
    """A list; in a flat config its parts are separated by commas."""
    return {"type": "array", "items": {"type": "string", "minLength": 1}}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a connector's config. `default=REQUIRED` means that it has none; None means that it may be absent.

    aliases: other spellings of its values, such as class names of Kafka Connect, and what they mean here.
    """

    name: str
    schema: Schema
    doc: str
    default: Any = REQUIRED
    examples: tuple[Any, ...] = ()
    secret: bool = False
    aliases: Mapping[str, str] = dataclass_field(default_factory=dict)

    def json_schema(self) -> dict[str, Any]:
        described = dict(self.schema) | {"description": self.doc}
        if self.default is not REQUIRED and self.default is not None:
            described["default"] = self.default
        if self.examples:
            described["examples"] = list(self.examples)
        if self.secret:
            described["writeOnly"] = True
        return described


@dataclass(frozen=True, slots=True)
class Validated:
    """A config that holds: every field of the spec with its typed value, and what should be told to the user."""

    values: Mapping[str, Any]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """What a connector is and takes.

    prefixes: keys that begin with one of them are passed through to what they configure, such as `producer.override.`.
    """

    name: str
    kind: Literal["source", "sink"]
    summary: str
    delivery: str
    fields: tuple[Field, ...]
    prefixes: tuple[str, ...] = ()

    def json_schema(self) -> dict[str, Any]:
        """Shape of a whole config, JSON Schema 2020-12."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": f"{self.summary} Delivery: {self.delivery}.",
            "type": "object",
            "properties": {field.name: field.json_schema() for field in self.fields},
            "required": [field.name for field in self.fields if field.default is REQUIRED],
        }

    def validate(self, config: Mapping[str, Any]) -> Validated:
        """Typed values of all fields, defaults filled in.

        Raises ConfigError with one fault for each wrong, missing or misspelt key.
        """
        by_name = {field.name: field for field in self.fields}
        typed = {key: _typed(value, by_name[key]) for key, value in config.items() if key in by_name}
        faults = [self._fault(error, config) for error in Draft202012Validator(self.json_schema()).iter_errors(typed)]
        unknown = [key for key in config if key not in by_name and not key.startswith(self.prefixes)]
        warnings = []
        for key in unknown:
            near = _nearest(key, by_name)
            if near:
                faults.append(f"{self.name}: {key} is not a field of {self.name}; did you mean {near}?")
            else:
                warnings.append(f"{self.name}: {key} is not a field of {self.name} and has no effect")
        if faults:
            raise ConfigError(sorted(faults))
        defaults = {field.name: field.default for field in self.fields if field.name not in typed}
        passed_through = {key: value for key, value in config.items() if key not in by_name and key not in unknown}
        return Validated(defaults | passed_through | typed, tuple(warnings))

    def hidden(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config as it may be printed: secrets replaced."""
        secrets = {field.name for field in self.fields if field.secret}
        return {key: SECRET_SHOWN_AS if key in secrets else value for key, value in config.items()}

    def _fault(self, error: Any, config: Mapping[str, Any]) -> str:
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            name = next(name for name in missing if f"'{name}'" in error.message)
            field = next(field for field in self.fields if field.name == name)
            return f"{self.name}: {name} is required: {field.doc}"
        name = str(error.absolute_path[0])
        field = next(field for field in self.fields if field.name == name)
        shown = SECRET_SHOWN_AS if field.secret else repr(config[name])
        return f"{self.name}: {name}={shown}: {_rule(error)}; {field.doc}"


def _nearest(key: str, known: Iterable[str], likeness: float = NEAR_MISS) -> str | None:
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=likeness)
    return near[0] if near else None


def _rule(error: Any) -> str:
    rule, value = error.validator, error.validator_value
    match rule:
        case "type":
            words = {"integer": "a whole number", "boolean": "true or false", "number": "a number", "array": "a list"}
            return f"must be {words.get(value, value)}"
        case "minimum":
            return f"must be at least {value}"
        case "maximum":
            return f"must be at most {value}"
        case "enum":
            near = _nearest(str(error.instance), [str(item) for item in value], likeness=0.5)
            hint = f"; did you mean {near}?" if near else ""
            return f"must be one of {', '.join(map(str, value))}{hint}"
        case "minLength":
            return "must not be empty"
        case "pattern":
            return f"must match {value}"
    return str(error.message)


def _typed(value: Any, field: Field) -> Any:
    """The value in the schema's type where its text has that form, else unchanged, so that the check names it."""
    kind = field.schema.get("type")
    if isinstance(value, str) and value in field.aliases:
        return field.aliases[value]
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if kind == "string" and is_number else value
    stripped = value.strip()
    if kind == "integer" and stripped.removeprefix("-").isascii() and stripped.removeprefix("-").isdigit():
        return int(stripped) if len(stripped) < DIGITS_MAX else value
    if kind == "number":
        try:
            return float(stripped)
        except ValueError:
            return value
    if kind == "boolean" and stripped.lower() in ("true", "false"):
        return stripped.lower() == "true"
    if kind == "array":
        return [part.strip() for part in value.split(",")] if stripped else []
    return value
