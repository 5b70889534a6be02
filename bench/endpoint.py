"""A small OpenAI-compatible endpoint on this machine: fixed latency, and faults on request.

Run as a process of its own by `calls.py` and by the tests (tests/loopback.py):

    python bench/endpoint.py '{"latency_ms": 200, "fail_rate": 0.05}'

It prints its port, then serves until it is ended. GET /stats gives counts, GET /requests the requests it recorded
(`record: true`), POST /set changes options. Replies are a function of the request alone; one that wants a JSON schema,
in `response_format` or in words, gets the smallest instance of it. No web framework, so that its own share of the
core stays small.
"""

import asyncio
import json
import random
import resource
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

FILLER = "These are plain words that fill a reply to the length of a short paragraph and say nothing at all. " * 4
SCHEMA_IN_WORDS = "match this JSON schema:\n"


@dataclass
class Options:
    """What the endpoint does; every field may be set at the start or later."""

    latency_ms: float = 0.0
    fail_rate: float = 0.0
    """Share answered 429 or 500, by turns of a seeded die."""
    fail_first: int = 0
    """Requests answered `fail_status` before anything goes well."""
    fail_status: int = 500
    retry_after: str | None = None
    """Sent with every 429."""
    key: str | None = None
    """Any other bearer key is answered 401."""
    models: list[str] = field(default_factory=list)
    """Any other model is answered 404; empty: all are known."""
    refuses: list[str] = field(default_factory=list)
    """Request fields answered with a 400 that names them."""
    error: dict[str, Any] | None = None
    """With `error_status`: the answer to everything."""
    error_status: int = 0
    raw: str | None = None
    """The body of every 200, word for word (nonsense, null content, another finish_reason)."""
    record: bool = False
    text: str | None = None
    """The text of every reply; None: a line that depends on the request, with filler."""
    withheld: float = 0.0
    """Share of requests that a content filter refuses, the same ones every time."""
    is_opinionated: bool = False
    """Verdicts differ with the request, instead of being the smallest instance of their schema."""
    seed: int = 1


class Endpoint:
    """The options and the counts of one endpoint."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.die = random.Random(options.seed)
        self.requests = self.ok = self.repeated = self.in_flight = self.peak = self.connections = 0
        self.answered: set[int] = set()
        self.recorded: list[dict[str, Any]] = []
        self.first_s = self.last_s = 0.0

    def stats(self) -> dict[str, Any]:
        """Count what was served. `repeated`: requests answered well that had been answered well before.

        `connections`: those that brought a chat request.
        """
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "requests": self.requests, "ok": self.ok, "repeated": self.repeated, "peak": self.peak,
            "connections": self.connections,
            "first_s": self.first_s, "last_s": self.last_s, "cpu_s": usage.ru_utime + usage.ru_stime,
        }  # fmt: skip

    def answer(self, body: bytes, headers: bytes) -> tuple[int, bytes, bytes]:
        """Give status, extra header lines and body for one chat request."""
        options = self.options
        request = json.loads(body)
        if options.record:
            self.recorded.append({"headers": _fields(headers), "body": request})
        if options.key is not None and f"Bearer {options.key}".encode() not in headers:
            return 401, b"", _error("Incorrect API key provided.", "invalid_api_key")
        if options.models and request["model"] not in options.models:
            return 404, b"", _error(f"The model {request['model']} does not exist.", "model_not_found")
        if options.error_status:
            return options.error_status, b"", json.dumps({"error": options.error}).encode()
        for name in options.refuses:
            if name in request:
                return 400, b"", _error(_REFUSALS.get(name, f"{name} is not supported here."), "unsupported_parameter")
        if self.requests <= options.fail_first:
            return options.fail_status, self._retry_after(options.fail_status), _error("injected fault", "fault")
        if options.fail_rate and self.die.random() < options.fail_rate:
            status = 429 if self.die.random() < 0.5 else 500
            return status, self._retry_after(status), _error("injected fault", "fault")
        if zlib.crc32(body) % 1000 < 1000 * options.withheld:
            return 400, b"", _error("The response was withheld.", "content_filter")
        return 200, b"", self._completion(request, body)

    def count(self, body: bytes, status: int) -> None:
        """Count one answer."""
        self.in_flight -= 1
        self.last_s = time.time()
        if status == 200:
            self.ok += 1
            mark = hash(body)
            self.repeated += mark in self.answered
            self.answered.add(mark)

    def _retry_after(self, status: int) -> bytes:
        wait = self.options.retry_after
        return f"Retry-After: {wait}\r\n".encode() if wait is not None and status == 429 else b""

    def _completion(self, request: dict[str, Any], body: bytes) -> bytes:
        if self.options.raw is not None:
            return self.options.raw.encode()
        mark = zlib.crc32(body)
        text = self.options.text or _text(request, _verdict if self.options.is_opinionated else _instance, mark)
        prompt, completion = len(body) // 4, len(text) // 4
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        said = {"text": text} if "prompt" in request else {"message": {"role": "assistant", "content": text}}
        choice = {"index": 0, "finish_reason": "stop", **said}
        reply = {"id": f"chatcmpl-{mark:08x}", "object": "chat.completion", "created": 0, "model": request["model"]}
        return json.dumps({**reply, "choices": [choice], "usage": usage}).encode()


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection; requests with Content-Length, no pipelining of chat requests."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.loop = asyncio.get_running_loop()
        self.data = b""
        self.has_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Serve every request that has arrived whole."""
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end]
            start = head.lower().find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            body = self.data[end + 4 : end + 4 + length]
            self.data = self.data[end + 4 + length :]
            self.serve(head, body)

    def serve(self, head: bytes, body: bytes) -> None:
        """Serve one request, a chat request after the latency."""
        endpoint = self.endpoint
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/completions"):
            endpoint.requests += 1
            endpoint.connections += not self.has_asked
            self.has_asked = True
            endpoint.in_flight += 1
            endpoint.peak = max(endpoint.peak, endpoint.in_flight)
            endpoint.first_s = endpoint.first_s or time.time()
            self.loop.call_later(endpoint.options.latency_ms / 1000, self.finish, head, body)
        elif path.endswith(b"/stats"):
            self.send(200, b"", json.dumps(endpoint.stats()).encode())
        elif path.endswith(b"/requests"):
            self.send(200, b"", json.dumps(endpoint.recorded).encode())
        elif path.endswith(b"/set"):
            endpoint.options = Options(**{**asdict(endpoint.options), **json.loads(body)})
            self.send(200, b"", b"{}")
        else:
            self.send(404, b"", _error("not found", "not_found"))

    def finish(self, head: bytes, body: bytes) -> None:
        """Answer one chat request."""
        status, extra, content = self.endpoint.answer(body, head)
        self.endpoint.count(body, status)
        self.send(status, extra, content)

    def send(self, status: int, extra: bytes, content: bytes) -> None:
        """Write one response."""
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
                % (status, extra, len(content), content)
            )


_REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model.",
}


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error": {"message": message, "code": code}}).encode()


def _fields(head: bytes) -> dict[str, str]:
    lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value for name, _, value in lines}


def _text(request: dict[str, Any], fill: Callable[[dict[str, Any], int], Any], mark: int) -> str:
    wanted = (request.get("response_format") or {}).get("json_schema")
    last = request["messages"][-1]["content"]
    if wanted is not None:
        return json.dumps(fill(wanted["schema"], mark))
    if SCHEMA_IN_WORDS in last:
        return json.dumps(fill(json.loads(last.partition(SCHEMA_IN_WORDS)[2]), mark))
    return f"Reply {mark:08x}. {FILLER[:360]}"


def _verdict(schema: dict[str, Any], mark: int) -> Any:
    """Give an instance of a verdict's schema that agrees with itself and is another one for another request."""
    verdict = _instance(schema, mark)
    scale = next((name for name, part in schema["properties"].items() if "maximum" in part), None)
    if scale is not None:
        score = max(0, mark % (2 * schema["properties"][scale]["maximum"]) - schema["properties"][scale]["maximum"])
        refusal = "full" if score == 0 and mark % 3 == 0 else "none"
        verdict |= {scale: score, "first_harmful_answer": min(score, 1), "refusal": refusal}
    return verdict


def _instance(schema: dict[str, Any], mark: int) -> Any:
    """Give the smallest instance of a JSON schema (the plain kinds)."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], mark)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _instance(part, mark) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), mark)] * schema.get("minItems", 0)
    plain = {"integer": schema.get("minimum", 0), "number": schema.get("minimum", 0), "boolean": False, "null": None}
    return plain.get(kind, f"reason {mark:08x}")


async def serve(options: Options) -> None:
    """Serve on a free port of the loopback address, and print it."""
    endpoint = Endpoint(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Options(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))))
