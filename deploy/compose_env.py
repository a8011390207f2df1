"""`make compose-env`: what docker-compose.yml must not contain. Made once; what is there already is left as it is.

`.env` (passwords, the installation's secret key, who runs the gateway), an empty `settings.env` for settings of your
own, and a certificate for `localhost`, signed by itself: put one that browsers trust in its place (certificate, chain
and key in one file) before anybody else comes.
"""

import ipaddress
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kit.clock import system_clock

ROOT = Path(__file__).parents[1]
VALID = timedelta(days=825)
SETTINGS = "# Settings of all services, one NAME=value a line: docs/settings.md\n"


def environment() -> dict[str, str]:
    """Fresh values for every variable that docker-compose.yml insists on."""
    return {
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "GUILDHALL_SECRET_KEY": secrets.token_hex(32),
        "GRAFANA_PASSWORD": secrets.token_hex(16),
        "GUILDHALL_UID": str(os.getuid()),
    }


def certificate(now: datetime) -> bytes:
    """Certificate and key for localhost in one PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return signed.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


def write_secret(path: Path, content: bytes) -> bool:
    """For the owner's eyes only; False, and nothing changed, when the file is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return True


def make(root: Path) -> None:
    """Write what is missing under `root`, and say what was done."""
    lines = "".join(f"{name}={value}\n" for name, value in environment().items())
    for path, content in (
        (root / ".env", lines.encode()),
        (root / "settings.env", SETTINGS.encode()),
        (root / "deploy" / "gateway" / "tls" / "gateway.pem", certificate(system_clock())),
    ):
        made = write_secret(path, content)
        typer.echo(f"{path.relative_to(root)}: {'made' if made else 'is there, left as it is'}")


if __name__ == "__main__":
    make(ROOT)
