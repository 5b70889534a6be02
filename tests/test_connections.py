"""Connections are shared by a run's models, and carry each one's own key."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from breakfix.errors import ModelError
from breakfix.models.connections import Connections, trusted
from breakfix.models.open import open_model
from breakfix.settings import ModelSettings
from breakfix.types import Decoding, Message
from loopback import Loopback, loopback

CHAT = (Message(role="user", content="hello"),)
EACH = 3


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback(latency_ms=20, record=True) as running:
        yield running


async def ask_all(server: Loopback, keys: tuple[str, ...], connections: Connections | None) -> None:
    """Ask a model for each key, one model after the other, some calls at once."""
    models = [open_model(server.name(key), ModelSettings(api_key_env=key), connections=connections) for key in keys]
    for model in models:
        await asyncio.gather(*(model.generate(CHAT, Decoding()) for _ in range(EACH)))
    for model in models:
        await model.close()


@pytest.mark.parametrize(("is_shared", "opened"), [(True, EACH), (False, 2 * EACH)])
def test_models_that_share_connections_need_no_more_than_one_of_them(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, is_shared: bool, opened: int
):
    keys = ("KEY_A", "KEY_B")
    for name in keys:
        monkeypatch.setenv(name, f"secret of {name}")

    async def go() -> None:
        connections = Connections() if is_shared else None
        await ask_all(server, keys, connections)
        if connections:
            await connections.close()

    asyncio.run(go())
    assert server.stats()["connections"] == opened
    sent = [(one["body"]["model"], one["headers"]["authorization"]) for one in server.requests()]
    assert set(sent) == {(name, f"Bearer secret of {name}") for name in keys}


def test_one_model_that_is_closed_leaves_the_other_its_connections(server: Loopback):
    async def go() -> str:
        connections = Connections()
        one, other = (open_model(server.name(name), connections=connections) for name in "ab")
        await one.generate(CHAT, Decoding())
        await one.close()
        reply = await other.generate(CHAT, Decoding())
        await other.close()
        await connections.close()
        return reply.text

    assert asyncio.run(go())
    assert server.stats()["connections"] == 1


def test_connections_that_were_closed_open_anew(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEY_A", "secret")

    async def go(connections: Connections) -> None:
        await ask_all(server, ("KEY_A",), connections)
        await connections.close()

    connections = Connections()
    for _ in range(2):
        asyncio.run(go(connections))
    assert server.stats()["requests"] == 2 * EACH


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_that_the_environment_names_is_trusted_and_read_once(variable: str):
    first, second = (trusted({variable: certifi.where()}) for _ in range(2))
    assert isinstance(first, ssl.SSLContext) and first.verify_mode == ssl.CERT_REQUIRED
    assert first is second


def test_without_a_bundle_the_systems_own_is_trusted():
    assert trusted({}) is True


def test_a_bundle_that_cannot_be_read_is_named(tmp_path: Path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(ModelError, match=r"CA bundle .*broken\.pem"):
        trusted({"CURL_CA_BUNDLE": str(broken)})
