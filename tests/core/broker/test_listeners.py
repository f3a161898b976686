"""Listeners: several of them, what each tells its clients, and what cannot be served."""

import pytest

from millstream.core.broker.network.listeners import Listener, ListenerSettings, parse_listeners
from millstream.core.errors import ConfigError


def test_each_listener_has_the_address_that_is_advertised_for_its_name() -> None:
    listeners = parse_listeners(
        ListenerSettings(
            listeners="PLAINTEXT://:9092,INTERNAL://10.0.0.1:9093,CONTROLLER://:9094",
            advertised="PLAINTEXT://kafka.example:19092,CONTROLLER://localhost:9094",
            protocols="CONTROLLER:SSL,INTERNAL:PLAINTEXT",
            controllers="CONTROLLER",
        )
    )

    assert listeners == (
        Listener("PLAINTEXT", "", 9092, ("kafka.example", 19092)),
        Listener("INTERNAL", "10.0.0.1", 9093, None),
    )
    assert [str(one) for one in listeners] == ["PLAINTEXT://:9092", "INTERNAL://10.0.0.1:9093"]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (ListenerSettings(listeners="a:1,b:2"), "PLAINTEXT is there twice"),
        (ListenerSettings(listeners="INSIDE://a:1"), "add INSIDE:PLAINTEXT to listener.security.protocol.map"),
        (ListenerSettings(listeners="SASL_SSL://a:1"), "SASL_SSL speaks SASL_SSL; only PLAINTEXT is served"),
        (ListenerSettings(listeners="A://a:1", protocols="A:TLS"), "'A:TLS': must be NAME:PROTOCOL"),
        (ListenerSettings(listeners="a:1", advertised="B://b:2"), "B is not among listeners (PLAINTEXT)"),
        (ListenerSettings(listeners="a:1", advertised="0.0.0.0:9092"), "0.0.0.0:9092 is no address that a client"),
        (ListenerSettings(listeners="a:1", advertised="b:0"), "b:0 is no address that a client"),
        (ListenerSettings(listeners="A://a:1,B://a:1", protocols="A:PLAINTEXT,B:PLAINTEXT"), "B and A share a:1"),
        (ListenerSettings(listeners="C://a:1", controllers="C"), "needs one HOST:PORT"),
        (ListenerSettings(listeners=""), "must be HOST:PORT"),
    ],
)
def test_listeners_that_cannot_be_served_are_refused_with_the_remedy(settings: ListenerSettings, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_listeners(settings)

    assert fault in str(caught.value)
