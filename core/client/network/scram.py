"""SASL SCRAM, the client's side of the exchange. Pure: the nonce is given.

Source: RFC 5802 and RFC 7677 (SCRAM-SHA-256), as Kafka uses them: no channel binding.
Tests: tests/core/client/test_scram.py (the RFC's own examples), and against a real Kafka.
"""

import base64
import hashlib
import hmac

from ...errors import ErrorCode, ProtocolError, WireError

HASH_NAMES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
MIN_ITERATIONS = 4_096
MAX_ITERATIONS = 1_000_000


class ScramExchange:
    """Three steps: first() goes out, final(answer) goes out, verify(answer) checks that the server knows it too."""

    def __init__(self, mechanism: str, username: str, password: str, nonce: str) -> None:
        self._hash_name = HASH_NAMES[mechanism]
        self._password = password
        self._nonce = nonce
        escaped = username.replace("=", "=3D").replace(",", "=2C")
        self._first_bare = f"n={escaped},r={nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        return f"n,,{self._first_bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """The proof that we know the password. Raises WireError for a malformed or weakened challenge."""
        attributes = _attributes(server_first)
        nonce = attributes.get("r", "")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise WireError("SCRAM: the server's nonce does not continue ours")
        try:
            salt = base64.b64decode(attributes["s"], validate=True)
            iterations = int(attributes["i"])
        except (KeyError, ValueError) as error:
            raise WireError(f"SCRAM: malformed challenge: {error}") from error
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise WireError(f"SCRAM: {iterations} iterations; {MIN_ITERATIONS} to {MAX_ITERATIONS} are accepted")
        salted = hashlib.pbkdf2_hmac(self._hash_name, self._password.encode(), salt, iterations)
        client_key = self._hmac(salted, b"Client Key")
        without_proof = f"c=biws,r={nonce}"
        signed = f"{self._first_bare},{server_first.decode()},{without_proof}".encode()
        signature = self._hmac(hashlib.new(self._hash_name, client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = self._hmac(self._hmac(salted, b"Server Key"), signed)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final: bytes) -> None:
        """Raises ProtocolError when the server reports an error or cannot prove that it knows the password.

        WireError for a malformed answer.
        """
        attributes = _attributes(server_final)
        if "e" in attributes:
            raise ProtocolError(ErrorCode.SASL_AUTHENTICATION_FAILED, attributes["e"])
        try:
            given = base64.b64decode(attributes.get("v", ""), validate=True)
        except ValueError as error:
            raise WireError(f"SCRAM: malformed proof of the server: {error}") from error
        if not hmac.compare_digest(given, self._server_signature):
            raise ProtocolError(
                ErrorCode.SASL_AUTHENTICATION_FAILED, "the server did not prove that it knows the password"
            )

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._hash_name).digest()


def _attributes(message: bytes) -> dict[str, str]:
    """`a=1,b=2` as a dict. Raises WireError for anything else."""
    try:
        parts = message.decode().split(",")
    except UnicodeDecodeError as error:
        raise WireError("SCRAM: the server's message is not UTF-8") from error
    found = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise WireError(f"SCRAM: malformed attribute in the server's message: {part[:40]!r}")
        found[name] = value
    return found
