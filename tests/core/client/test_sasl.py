"""TLS and logins against a real Kafka that asks for them."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from core.client.reading import new_topic, numbered, values_of, write
from core.client.secure_kafka import SecureKafka
from services.needed import needed

from millstream.core.client.client import Client
from millstream.core.client.config import client_config
from millstream.core.client.network.tcp import TcpTransport
from millstream.core.errors import ConfigError, NotConnected, ProtocolError
from millstream.core.wire.messages.k51_alter_user_scram_credentials import AlterUserScramCredentialsRequest

pytestmark = [pytest.mark.service, pytest.mark.slow]
MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
PASSWORD = "pass,word="


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    server = SecureKafka(tmp_path_factory.mktemp("secure"))
    with needed():
        server.start()
    yield server
    server.stop()


def client(server: SecureKafka, listener: str, **settings: Any) -> Client:
    values = {name.replace("_", "."): value for name, value in settings.items()}
    protocol = {"LOGIN": "SASL_PLAINTEXT", "TLS": "SSL", "BOTH": "SASL_SSL"}.get(listener, "PLAINTEXT")
    port = server.ports.get(listener, int(server.bootstrap.rpartition(":")[2]))
    values |= {"bootstrap.servers": f"127.0.0.1:{port}", "security.protocol": protocol}
    if protocol.endswith("SSL"):
        values.setdefault("ssl.truststore.location", str(server.certificates / "authority.pem"))
    config = client_config({"socket.connection.setup.timeout.ms": 60_000} | values)
    return Client(config, TcpTransport(config))


async def add_user(server: SecureKafka, name: str, mechanism: str) -> None:
    number, hash_name = MECHANISMS[mechanism]
    salt = b"salt of the test"
    user = AlterUserScramCredentialsRequest.ScramCredentialUpsertion(
        name=name, mechanism=number, iterations=4096, salt=salt,
        salted_password=hashlib.pbkdf2_hmac(hash_name, PASSWORD.encode(), salt, 4096),
    )  # fmt: skip
    async with client(server, "PLAINTEXT") as admin:
        response = await (await admin.node()).send(AlterUserScramCredentialsRequest(upsertions=[user]))
    assert [result.error_code for result in response.results] == [0]


async def until_known(server: SecureKafka, login: dict[str, str]) -> None:
    """A Kafka knows new users a while after it confirms them."""
    while True:
        with contextlib.suppress(ProtocolError):
            async with client(server, "LOGIN", sasl_password=PASSWORD, **login):
                return
        await asyncio.sleep(0.05)


async def round_trip(connected: Client, topic: str) -> None:
    async with connected as inside:
        await new_topic(inside, topic)
        await write(inside, topic, numbered(2000))
        assert await values_of(inside, topic) == numbered(2000)


async def test_tls(secure: SecureKafka):
    await round_trip(client(secure, "TLS"), "tls")


@pytest.mark.parametrize("listener", ["LOGIN", "BOTH"])
async def test_plain(secure: SecureKafka, listener: str):
    await round_trip(client(secure, listener, sasl_username="ann", sasl_password="secret"), f"plain-{listener}")


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_scram(secure: SecureKafka, mechanism: str):
    await add_user(secure, "b=ob", mechanism)
    login = {"sasl_mechanism": mechanism, "sasl_username": "b=ob"}

    await until_known(secure, login)
    await round_trip(client(secure, "LOGIN", sasl_password=PASSWORD, **login), mechanism)
    with pytest.raises(ProtocolError, match="SASL_AUTHENTICATION_FAILED"):
        async with client(secure, "LOGIN", sasl_password="wrong", **login):
            pass


async def test_a_wrong_password_is_refused_at_once_with_the_brokers_reason(secure: SecureKafka):
    with pytest.raises(ProtocolError, match="SASL_AUTHENTICATION_FAILED: Authentication failed"):
        async with client(secure, "LOGIN", sasl_username="ann", sasl_password="wrong"):
            pass


async def test_an_authority_that_we_do_not_trust_is_refused(secure: SecureKafka):
    with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
        async with client(secure, "TLS", ssl_truststore_location=None, socket_connection_setup_timeout_ms=5_000):
            pass


def test_a_truststore_that_is_not_there_is_named(secure: SecureKafka):
    with pytest.raises(ConfigError, match=r"ssl\.truststore\.location='/nowhere'"):
        client(secure, "TLS", ssl_truststore_location="/nowhere")
