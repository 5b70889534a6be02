"""A model behind an OpenAI-compatible endpoint, over aiohttp: one request a call, no retries (calls.py does those).

`generate` raises TryAgain (may pass), CallFailed (this call will not succeed), or ModelError (no call will: wrong key,
unknown model, nothing there). A content filter's refusal is a Reply with finish_reason "filtered". What the endpoint
says that it does not support (`max_tokens`, `temperature`, `top_p`, `response_format`) is found out once and then left
out; a wanted JSON schema is then asked for in plain text, and a decoding that is not held is remarked on.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from breakfix.errors import ModelError
from breakfix.identity import digest
from breakfix.models.answers import Answer, Form, failure, is_filtered, reply_from, request_body, simpler_form
from breakfix.models.connections import Connections, trusted
from breakfix.models.keys import Address, key_refused, proxy_for
from breakfix.pacing import TryAgain
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply

if TYPE_CHECKING:
    import aiohttp

UNREACHABLE_AFTER_S = 1.5
"""An endpoint that nothing was ever heard from is given up this long after the first failed connection."""


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint (protocols.Model); without a run's connections it has its own."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        settings: ModelSettings,
        calls: CallSettings,
        connections: Connections | None = None,
    ) -> None:
        import aiohttp  # now, not within the first call  # pyright: ignore[reportUnusedImport]

        self.name = name
        self.identity = digest("identity", settings.identity) if settings.identity else digest(address[:2])
        self.endpoint = address.url
        self.remarks: list[str] = []
        """What the user should know of how the endpoint was found to answer, a line each."""
        self._address = address
        self._timeout_s = calls.timeout_s
        self._form = Form()
        self._is_schema_known = False
        self._has_answered = False
        self._first_failure_s: float | None = None
        self._connections = connections or Connections()
        self._is_alone = connections is None
        self._session: aiohttp.ClientSession | None = None
        self._post_options: dict[str, Any] = {}
        self._url = _url_of(address, "chat/completions")
        self._text_url = _url_of(address, "completions")

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Ask once. Raises TryAgain, CallFailed or ModelError."""
        form = self._form
        tried = {form}
        while True:
            is_text = decoding.form is not None and decoding.form.is_text
            url = self._text_url if is_text else self._url
            answer = await self._post(url, request_body(self._address.model, messages, decoding, form))
            if answer.status == 200:
                return self._accepted(reply_from(answer), decoding, form)
            if is_filtered(answer):
                self._has_answered = True
                return Reply(text="", finish_reason="filtered")
            if answer.status == 401 or (answer.status == 403 and not self._has_answered):
                raise key_refused(self.name, self._address, answer.status)
            simpler = simpler_form(form, answer, decoding, is_schema_known=self._is_schema_known)
            if simpler is None or simpler in tried:
                raise failure(self.name, answer, messages, has_answered=self._has_answered, is_text=is_text)
            form = simpler
            tried.add(form)

    async def close(self) -> None:
        """Close the session, and the connections that no other model may use."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._is_alone:
            await self._connections.close()

    def _accepted(self, reply: Reply, decoding: Decoding, form: Form) -> Reply:
        self._has_answered = True
        if new := form.unsampled - self._form.unsampled:
            self.remarks.append(
                f"{self.name} takes no {' and no '.join(sorted(new))}: its own default holds, whatever the settings"
                " say, and the same question may be answered otherwise next time."
            )
        if form is not self._form:
            self._form = form
        if decoding.json_schema is not None and form.has_schema:
            self._is_schema_known = True
        return reply

    async def _post(self, url: str, body: bytes) -> Answer:
        import aiohttp

        session = self._session or self._open()
        try:
            async with session.post(url, data=body, **self._post_options) as response:
                content = await response.read()
                return Answer(response.status, content, response.headers)
        except TimeoutError:
            raise TryAgain(f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise ModelError(
                f"Model {self.name!r}: the certificate of {error.host} is not trusted. "
                "Point SSL_CERT_FILE at the bundle that vouches for it."
            ) from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
            raise self._unreachable(error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise TryAgain(f"the connection broke ({type(error).__name__})") from None

    def _unreachable(self, error: "aiohttp.ClientConnectorError") -> Exception:
        """Give up on an endpoint that never answered; wait for one that did."""
        now = time.monotonic()
        self._first_failure_s = self._first_failure_s or now
        host = urlsplit(self._url).netloc
        if self._has_answered or now - self._first_failure_s < UNREACHABLE_AFTER_S:
            return TryAgain(f"cannot connect to {host}")
        why = error.os_error.strerror or "no connection"
        return ModelError(f"Cannot reach {host} for model {self.name!r}: {why}. Check the URL and that it is up.")

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        headers = {"Content-Type": "application/json", **self._address.headers}
        if self._address.key is not None and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Bearer {self._address.key.secret}"
        trust = trusted() if self._url.startswith("https") else True
        self._session = aiohttp.ClientSession(
            connector=self._connections.pool(),
            connector_owner=False,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
        )
        self._post_options = {"allow_redirects": False, "ssl": trust}
        if proxy := proxy_for(self._url):
            self._post_options["proxy"] = proxy
        return self._session


def _url_of(address: Address, service: str) -> str:
    parts = urlsplit(address.url)
    return parts._replace(path=f"{parts.path}/{service}", query=address.sent_query or parts.query).geturl()
