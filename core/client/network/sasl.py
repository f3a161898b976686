"""Logging in to a broker with SASL PLAIN or SCRAM, over a connection that has learnt the peer's versions. Shell.

Source: KIP-43, KIP-152 (SaslHandshake, SaslAuthenticate). Tests: tests/core/client/test_sasl.py.
"""

import base64
import os

from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k17_sasl_handshake import SaslHandshakeRequest
from ...wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest
from ..config import SecurityConfig
from .connection import Connection, check
from .scram import HASH_NAMES, ScramExchange


async def authenticate(connection: Connection, security: SecurityConfig) -> None:
    """Log in. Raises ProtocolError with the broker's reason when it refuses."""
    mechanism = security.sasl_mechanism
    assert mechanism is not None
    handshake = await connection.send(SaslHandshakeRequest(mechanism=mechanism), 1)
    if handshake.error_code != ErrorCode.NONE:
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_SASL_MECHANISM,
            f"sasl.mechanism={mechanism!r}: the broker offers {', '.join(handshake.mechanisms) or 'none'}",
        )
    if mechanism in HASH_NAMES:
        nonce = base64.b64encode(os.urandom(24)).decode()
        exchange = ScramExchange(mechanism, security.sasl_username, security.sasl_password, nonce)
        challenge = await _step(connection, exchange.first())
        exchange.verify(await _step(connection, exchange.final(challenge)))
        return
    await _step(connection, f"\0{security.sasl_username}\0{security.sasl_password}".encode())


async def _step(connection: Connection, payload: bytes) -> bytes:
    response = await connection.send(SaslAuthenticateRequest(auth_bytes=payload))
    check(response.error_code, response.error_message or "the broker refused the login")
    answer: bytes = response.auth_bytes
    return answer
