"""TLS at the gate: its certificate is read anew for each caller, so that a renewed one counts."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from raypipe.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Who the gate says it is, and the key that proves it."""

    cert: Path
    """A PEM file, with those of who signed it after its own."""
    key: Path | None = None
    """A PEM file; None: it stands in that of the certificate."""

    def require(self) -> None:
        """Refuse what no caller could be answered with; UsageError says what is wrong."""
        try:
            self._context()
        except (OSError, ValueError) as error:  # SSLError is an OSError
            files = f"{str(self.cert)!r}" + (f" with {str(self.key)!r}" if self.key else "")
            raise UsageError(
                f"{files} is no certificate with its key: {getattr(error, 'reason', '') or error}",
                hint="--tls-cert and --tls-key take PEM files; the key has no passphrase",
            ) from error

    def wrapped(self, connection: socket.socket) -> ssl.SSLSocket:
        """Return a caller's connection, over which nothing is said yet."""
        return self._context().wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key, password=lambda: b"")  # else it would ask
        return context


def certificate(cert: Path | None, key: Path | None) -> Certificate | None:
    """Return the certificate that a person names; None where there is to be no TLS."""
    if cert is None:
        if key is not None:
            raise UsageError("--tls-key has no --tls-cert", hint="name both files")
        return None
    named = Certificate(cert=cert, key=key)
    named.require()
    return named
