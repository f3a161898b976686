import base64

import pytest

from millstream.core.client.network.scram import ScramExchange
from millstream.core.errors import ProtocolError, WireError

# The exchange of RFC 7677, section 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def exchange() -> ScramExchange:
    return ScramExchange("SCRAM-SHA-256", "user", "pencil", NONCE)


def test_the_exchange_of_rfc_7677():
    login = exchange()

    assert login.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert login.final(SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    login.verify(SERVER_FINAL)


def test_a_server_that_does_not_know_the_password_is_refused():
    login = exchange()
    login.final(SERVER_FIRST)

    with pytest.raises(ProtocolError, match="did not prove"):
        login.verify(b"v=" + base64.b64encode(b"x" * 32))


@pytest.mark.parametrize("answer", [b"v=a", b"v=6rriTRBi23WpRR"])
def test_a_malformed_proof_of_the_server_is_a_malformed_answer(answer: bytes):
    login = exchange()
    login.final(SERVER_FIRST)

    with pytest.raises(WireError, match="malformed proof"):
        login.verify(answer)


def test_the_servers_error_is_shown():
    with pytest.raises(ProtocolError, match="invalid-proof"):
        exchange().verify(b"e=invalid-proof")


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=AAAA,i=4096",  # Not our nonce.
        b"r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096",  # Nothing added to our nonce.
        SERVER_FIRST.replace(b"4096", b"1"),
        SERVER_FIRST.replace(b"4096", b"99999999999"),
        b"r=rOprNGfwEbeRWgbNEkqO1,i=4096",
        b"nonsense",
        b"\xff=\xff",
    ],
)
def test_a_malformed_or_weakened_challenge_is_refused(challenge: bytes):
    with pytest.raises(WireError):
        exchange().final(challenge)


def test_a_username_is_escaped():
    assert ScramExchange("SCRAM-SHA-512", "a=b,c", "", "n").first() == b"n,,n=a=3Db=2Cc,r=n"
