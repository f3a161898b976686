"""Where a broker listens and what it tells clients to connect to, from Kafka's three settings. Pure.

One listener per name; only those that speak plaintext are served, controllers' are left out.
Source: KafkaConfig.effectiveAdvertisedBrokerListeners and SocketServerConfigs of Kafka 4.3.1. Tested in
tests/core/broker/test_listeners.py.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...config import host_and_port
from ...errors import ConfigError

PLAINTEXT = "PLAINTEXT"
PROTOCOLS = (PLAINTEXT, "SSL", "SASL_PLAINTEXT", "SASL_SSL")
DEFAULT_PROTOCOL_MAP = ",".join(f"{protocol}:{protocol}" for protocol in PROTOCOLS)
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})

_NAMED = re.compile(r"(?:(?P<name>[A-Za-z_][A-Za-z0-9_-]*)://)?(?P<address>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listener:
    """One address to listen on. advertised: what its clients are told; None where that is the address itself."""

    name: str
    host: str
    port: int
    advertised: tuple[str, int] | None = None

    def __str__(self) -> str:
        return f"{self.name}://{_shown(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """The texts of the settings that listeners are made from."""

    listeners: str
    advertised: str | None = None
    protocols: str = DEFAULT_PROTOCOL_MAP
    controllers: str = ""


def parse_listeners(settings: ListenerSettings) -> tuple[Listener, ...]:
    """The listeners to serve, the first one first. Raises ConfigError with all faults."""
    faults: list[str] = []
    controllers = {name.upper() for name in _parts(settings.controllers)}
    protocols = _protocols(settings.protocols, faults)
    found = _addresses("listeners", settings.listeners, faults)
    advertised = _addresses("advertised.listeners", settings.advertised or "", faults)
    served = {name: address for name, address in found.items() if name not in controllers}
    for name in served:
        protocol = protocols.get(name)
        if protocol is None:
            faults.append(
                f"broker: listeners: {name} has no protocol; add {name}:PLAINTEXT to listener.security.protocol.map"
            )
        elif protocol != PLAINTEXT:
            faults.append(
                f"broker: listeners: {name} speaks {protocol}; only PLAINTEXT is served here. Name the listener "
                f"PLAINTEXT://HOST:PORT, such as 127.0.0.1:9092, and put a proxy that ends TLS before it"
            )
    faults += _advertised_faults(advertised, set(found) | controllers)
    faults += _shared_ports(served)
    if not served and not faults:
        faults.append(f"broker: listeners={settings.listeners!r}: needs one HOST:PORT, such as 127.0.0.1:9092")
    if faults:
        raise ConfigError(faults)
    return tuple(Listener(name, *address, advertised.get(name)) for name, address in served.items())


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _protocols(text: str, faults: list[str]) -> Mapping[str, str]:
    """Protocol of each listener name; PLAINTEXT and its like stand for themselves."""
    found = {protocol: protocol for protocol in PROTOCOLS}
    for part in _parts(text):
        name, colon, protocol = part.partition(":")
        if not colon or protocol.strip().upper() not in PROTOCOLS:
            faults.append(
                f"broker: listener.security.protocol.map={part!r}: must be NAME:PROTOCOL with one of "
                f"{', '.join(PROTOCOLS)}"
            )
        found[name.strip().upper()] = protocol.strip().upper()
    return found


def _addresses(setting: str, text: str, faults: list[str]) -> dict[str, tuple[str, int]]:
    addresses: dict[str, tuple[str, int]] = {}
    for part in _parts(text):
        named = _NAMED.fullmatch(part)
        address = host_and_port(named["address"]) if named is not None else None
        if named is None or address is None:
            faults.append(f"broker: {setting}={part!r}: must be HOST:PORT or NAME://HOST:PORT, such as 127.0.0.1:9092")
            continue
        name = (named["name"] or PLAINTEXT).upper()
        if name in addresses:
            faults.append(
                f"broker: {setting}={text!r}: {name} is there twice; give each a name of its own, such as "
                f"PLAINTEXT://127.0.0.1:9092,INTERNAL://127.0.0.1:9093"
            )
        addresses[name] = address
    if setting == "listeners" and not addresses and not faults:
        faults.append(f"broker: {setting}={text!r}: must be HOST:PORT, such as 127.0.0.1:9092")
    return addresses


def _advertised_faults(advertised: Mapping[str, tuple[str, int]], known: Iterable[str]) -> Iterable[str]:
    names = set(known)
    for name, (host, port) in advertised.items():
        if name not in names:
            yield (
                f"broker: advertised.listeners: {name} is not among listeners ({', '.join(sorted(names))}); "
                f"advertise one of these"
            )
        if host in ANY_ADDRESS - {""} or port == 0:
            yield (
                f"broker: advertised.listeners: {_shown(host)}:{port} is no address that a client could connect to; "
                f"name a host and a port"
            )


def _shared_ports(served: Mapping[str, tuple[str, int]]) -> Iterable[str]:
    seen: dict[tuple[str, int], str] = {}
    for name, address in served.items():
        if address[1] and address in seen:
            yield f"broker: listeners: {name} and {seen[address]} share {_shown(address[0])}:{address[1]}"
        seen[address] = name


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
