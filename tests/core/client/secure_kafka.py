"""A real Kafka with listeners that ask for TLS and for a login."""

import shutil
import socket
import subprocess
from pathlib import Path

from services.java import ServiceUnavailable, free_port
from services.kafka import Kafka

PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"

SETTINGS = """
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/authority.pem
"""


class SecureKafka(Kafka):
    """As Kafka, with three more listeners: LOGIN (SASL), TLS, and BOTH."""

    def __init__(self, folder: Path) -> None:
        self.certificates = folder / "certificates"
        self.ports = {name: free_port() for name in ("LOGIN", "TLS", "BOTH")}
        super().__init__(folder, heap="300m")
        made = dict(line.split("=", 1) for line in self._settings.splitlines())
        extra = "".join(f",{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        for name in ("listeners", "advertised.listeners"):
            self._settings += f"{name}={made[name]}{extra}\n"
        self._settings += SETTINGS.format(folder=self.certificates)
        for listener in ("login", "both"):
            prefix = f"listener.name.{listener}"
            self._settings += f'{prefix}.plain.sasl.jaas.config={PLAIN_LOGIN} required user_ann="secret";\n'
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                self._settings += f"{prefix}.{mechanism}.sasl.jaas.config={SCRAM_LOGIN} required;\n"

    def start(self) -> str:
        if shutil.which("openssl") is None:
            raise ServiceUnavailable("openssl is not installed; install it (Debian package openssl)")
        make_certificates(self.certificates)
        return super().start()

    def _started(self) -> bool:
        return super()._started() and all(map(_is_open, self.ports.values()))


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_certificates(folder: Path) -> None:
    """An authority, and a server certificate for 127.0.0.1 with its key in server.pem."""
    folder.mkdir(parents=True)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    steps = [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names "
        "-out server.crt",
    ]
    for step in steps:
        subprocess.run(["openssl", *step.split()], cwd=folder, check=True, capture_output=True)
    pieces = ((folder / name).read_text() for name in ("server.key", "server.crt", "authority.pem"))
    (folder / "server.pem").write_text("".join(pieces))
