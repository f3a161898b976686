"""One description per connector, from which validation, REST answers, docs and editor completion are derived. Pure.

A config is a flat map of Kafka Connect's keys to strings, numbers or booleans. examine() turns it into typed values and
finds every fault. The rules stand in the connector's JSON Schema; jsonschema checks them.
Tested in tests/connect/test_spec.py.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, Literal

from jsonschema import Draft202012Validator

from ..core.errors import ConfigError

REQUIRED: Final = object()
NEAR_MISS = 0.84
DIGITS_MAX = 20
SECRET_SHOWN_AS = "[hidden]"
SENTENCE_END = re.compile(r"(?<=\.) (?=[A-Z])")
SPOKEN_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "number": "a number",
    "array": "a list",
    "object": "a JSON object",
}
# What a text has to be to stand for a value of another type.
TEXT_PATTERNS = {
    "integer": r"^\s*-?[0-9]+\s*$",
    "number": r"^\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*$",
    "boolean": r"^\s*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])\s*$",
}

Schema = Mapping[str, Any]


def text(*, pattern: str | None = None, may_be_empty: bool = False) -> Schema:
    length = {} if may_be_empty else {"minLength": 1}
    return {"type": "string"} | length | ({"pattern": pattern} if pattern else {})


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
    other_names: other names of the key itself, such as one that a connector of Kafka Connect has for it.
    shape: more rules, for editors; the connector itself looks for what breaks them, to find all of it.
    """

    name: str
    schema: Schema
    doc: str
    default: Any = REQUIRED
    examples: tuple[Any, ...] = ()
    secret: bool = False
    aliases: Mapping[str, str] = dataclass_field(default_factory=dict)
    other_names: tuple[str, ...] = ()
    shape: Schema = dataclass_field(default_factory=dict)

    def json_schema(self) -> dict[str, Any]:
        """Of the value as people write it: also as text, as in Kafka Connect, and under other names."""
        described = dict(self.schema) | dict(self.shape) | {"description": self.doc}
        if "enum" in self.schema:
            described["enum"] = [*self.schema["enum"], *self.aliases]
        elif (kind := self.schema["type"]) != "string":
            described["type"] = [kind, "string"]
            described |= {"pattern": TEXT_PATTERNS[kind]} if kind in TEXT_PATTERNS else {}
        if self.default is not REQUIRED and self.default is not None:
            described["default"] = self.default
        if self.examples:
            described["examples"] = list(self.examples)
        if self.secret:
            described["writeOnly"] = True
        return described


@dataclass(frozen=True, slots=True)
class Examined:
    """A config as far as it holds. faulty: fields with a fault, which have their default here, or no value."""

    values: Mapping[str, Any]
    warnings: tuple[str, ...]
    faults: tuple[str, ...]
    faulty: frozenset[str]


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
        """Shape of a whole config as people write it, JSON Schema 2020-12: for editors and the docs."""
        required = [field for field in self.fields if field.default is REQUIRED]
        several = [(field.name, *field.other_names) for field in required if field.other_names]
        either = [{"anyOf": [{"required": [name]} for name in names]} for names in several]
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": f"{self.summary}. Delivery: {self.delivery}.",
            "type": "object",
            "properties": {
                name: field.json_schema() for field in self.fields for name in (field.name, *field.other_names)
            },
            "required": [field.name for field in required if not field.other_names],
            **({"allOf": either} if either else {}),
        }

    def _typed_schema(self) -> dict[str, Any]:
        """Shape of a config whose keys have their own names, and whose texts were read as what they stand for."""
        return {
            "type": "object",
            "properties": {field.name: dict(field.schema) for field in self.fields},
            "required": [field.name for field in self.fields if field.default is REQUIRED],
        }

    def with_own_names(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config with each key under the name that its field has here, unless two names of it differ in value."""
        owns = {other: field.name for field in self.fields for other in field.other_names}
        return {
            key if key in owns and config.get(owns[key], value) != value else owns.get(key, key): value
            for key, value in config.items()
        }

    def examine(self, config: Mapping[str, Any], is_known: Callable[[str], bool] = lambda _: False) -> Examined:
        """Typed values of all fields, defaults filled in, and every fault. A faulty field has its default.

        is_known: whether a key that is no field has a meaning to the caller.
        """
        config = self.with_own_names(config)
        by_name = {field.name: field for field in self.fields}
        typed = {key: _typed(value, by_name[key]) for key, value in config.items() if key in by_name}
        errors = _first_of_each(Draft202012Validator(self._typed_schema()).iter_errors(typed))
        faults = [self._fault(error, config) for error in errors]
        faulty = {self._field_of(error).name for error in errors}
        others = [key for key in config if key not in by_name]
        for field in self.fields:
            twice = [other for other in field.other_names if other in others]
            faults += [f"{self.name}: {other} and {field.name} are one key: they differ; give one" for other in twice]
            faulty |= {field.name} if twice else set()
            others = [key for key in others if key not in twice]
        unknown = [key for key in others if not key.startswith(self.prefixes) and not is_known(key)]
        warnings = []
        for key in unknown:
            near = _meant(key, by_name, [name for name in by_name if name not in config])
            if near:
                faults.append(f"{self.name}: {key} is not a field of {self.name}; did you mean {near}?")
                faulty.add(near)
            else:
                warnings.append(f"{self.name}: {key} is not a field of {self.name} and has no effect")
        defaults = {field.name: field.default for field in self.fields if field.default is not REQUIRED}
        passed_through = {key: config[key] for key in others if key not in unknown}
        good = {key: value for key, value in typed.items() if key not in faulty}
        return Examined(defaults | passed_through | good, tuple(warnings), tuple(sorted(faults)), frozenset(faulty))

    def validate(self, config: Mapping[str, Any]) -> Examined:
        """As examine(). Raises ConfigError with one fault for each wrong, missing, misspelt or unknown key."""
        examined = self.examine(config)
        if examined.faults:
            raise ConfigError([*examined.faults, *examined.warnings])
        return examined

    def _field_of(self, error: Any) -> Field:
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            name = next(name for name in missing if f"'{name}'" in error.message)
        else:
            name = str(error.absolute_path[0])
        return next(field for field in self.fields if field.name == name)

    def _fault(self, error: Any, config: Mapping[str, Any]) -> str:
        field = self._field_of(error)
        if error.validator == "required":
            return f"{self.name}: {field.name} is required: {field.doc}"
        shown = SECRET_SHOWN_AS if field.secret else _shown(config[field.name])
        parts = "".join(f"{part}: " for part in list(error.absolute_path)[1:] if isinstance(part, str))
        return f"{self.name}: {field.name}={shown}: {parts}{_rule(error)}; {SENTENCE_END.split(field.doc)[0]}"


def _nearest(key: str, known: Iterable[str], likeness: float = NEAR_MISS) -> str | None:
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=likeness)
    return near[0] if near else None


def _first_of_each(errors: Iterable[Any]) -> list[Any]:
    """Without further faults of a value that is empty: what it would have to match says no more."""
    found = list(errors)
    empty = [list(error.absolute_path) for error in found if error.validator == "minLength"]
    return [error for error in found if error.validator == "minLength" or list(error.absolute_path) not in empty]


def _shown(value: Any) -> str:
    """As it was written, in JSON or in Python's like."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _meant(key: str, known: Iterable[str], not_given: Iterable[str]) -> str | None:
    """The field that a key was meant as: one very like it, in whatever case, or one that was not given and has the
    same letters in another order."""
    low = key.lower()
    near = _nearest(low, known)
    return near or next((name for name in not_given if sorted(name) == sorted(low)), None)


def _rule(error: Any) -> str:
    rule, value = error.validator, error.validator_value
    match rule:
        case "type":
            kinds = [value] if isinstance(value, str) else value
            return f"must be {' or '.join(SPOKEN_TYPES.get(kind, kind) for kind in kinds)}"
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
    if kind == "object":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
