"""Open connections to endpoints: one pool a run, which its models share.

Where one server plays target, simulator and judge, a connection that one of them has done with serves the next: a third
of the connections, and of their TLS handshakes. A connection knows no model and no key: each request brings its own.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from breakfix.errors import ModelError

if TYPE_CHECKING:
    import ssl

    import aiohttp

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Honoured beside SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL reads itself."""
LET_GO_AFTER_S = 30
"""So long a connection is kept that nobody uses."""


class Connections:
    """A pool of connections to any endpoints, as many as are asked for: calls.py bounds what is in flight."""

    def __init__(self) -> None:
        self._pool: aiohttp.TCPConnector | None = None

    def pool(self) -> "aiohttp.TCPConnector":
        """Give the pool; its first use, within the event loop that it is for, opens it."""
        import aiohttp

        if self._pool is None:
            self._pool = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=LET_GO_AFTER_S)
        return self._pool

    async def close(self) -> None:
        """Close what is open."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()


def trusted(environ: Mapping[str, str] = os.environ) -> "ssl.SSLContext | bool":
    """Trust the CA bundle that the environment names; True: the system's own. Raises ModelError."""
    bundle = next((environ[name] for name in CA_VARIABLES if environ.get(name)), None)
    return True if bundle is None else _trusting(bundle)


@cache
def _trusting(bundle: str) -> "ssl.SSLContext":
    """Read a bundle once: connections of equal trust are shared only where it is the same object."""
    import ssl

    try:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=bundle)
    except (OSError, ssl.SSLError):
        raise ModelError(f"The CA bundle {bundle!r} that the environment names cannot be read. Correct it.") from None
    return context
