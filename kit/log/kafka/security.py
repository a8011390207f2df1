"""How a client reaches its brokers: in clear, or over TLS and signed in with SCRAM."""

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Security:
    """`tls_ca` is a PEM file, empty for what the system trusts. `sasl` is empty, SCRAM-SHA-256 or SCRAM-SHA-512.

    Its text shows no password, so that it may stand in a log line or a traceback.
    """

    tls: bool = False
    tls_ca: str = ""
    sasl: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """What every client is made with. OSError when the certificates cannot be read or are none."""
        protocol = "SSL" if self.tls else "PLAINTEXT"
        found: dict[str, Any] = {"security_protocol": f"SASL_{protocol}" if self.sasl else protocol}
        if self.tls:
            # The default context checks the chain and the name; there is no way to ask for less.
            found["ssl_context"] = ssl.create_default_context(cafile=self.tls_ca or None)
        if self.sasl:
            found["sasl_mechanism"] = self.sasl
            found["sasl_plain_username"] = self.username
            found["sasl_plain_password"] = self.password
        return found
