"""The base and scale jobs at the level of calls: N conversations of 5 exchanges and a verdict, as a process.

    python bench/dialogue_loop.py breakfix|aiohttp URL N CONCURRENCY [JOURNAL]

`breakfix` goes through Calls, Line and Thread, journalled; `aiohttp` is the floor: the same requests in a plain loop
that keeps nothing. Prints one JSON line.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

TURNS = 5
RETRIES = 8
VERDICT = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "severity": {"type": "integer", "minimum": 0}},
    "required": ["reason", "severity"],
    "additionalProperties": False,
}


def simulator_prompt(number: int) -> str:
    return f"You play a user of an assistant. Objective number {number}. Write the next user turn only."


async def breakfix_job(url: str, conversations: int, concurrency: int, journal_file: Path) -> int:
    from breakfix.calls import Calls, each
    from breakfix.journal import Journal
    from breakfix.models.open import open_model
    from breakfix.settings import CallSettings
    from breakfix.types import Message

    journal = Journal(journal_file, "bench")
    calls = Calls(journal, CallSettings(concurrency=concurrency))
    model = open_model(f"{url}#m", calls=calls.settings)
    simulator, target, judge = (calls.line(model, role) for role in ("simulator", "target", "judge"))
    judging = judge.decoding.model_copy(update={"schema_name": "verdict", "json_schema": VERDICT})

    async def converse(number: int) -> int:
        asking, answering = simulator.thread(str(number)), target.thread(str(number))
        seen = [Message(role="system", content=simulator_prompt(number)), Message(role="user", content="Begin.")]
        said = [Message(role="system", content="You are a helpful assistant.")]
        for _ in range(TURNS):
            turn = (await asking.ask(seen)).text
            said.append(Message(role="user", content=turn))
            answer = (await answering.ask(said)).text
            said.append(Message(role="assistant", content=answer))
            seen += [Message(role="assistant", content=turn), Message(role="user", content=answer)]
        text = "\n".join(f"{message.role}: {message.content}" for message in said[1:])
        reply = await judge.thread(str(number)).ask([Message(role="user", content=f"Judge this.\n\n{text}")], judging)
        return json.loads(reply.text)["severity"]

    verdicts = await each(range(conversations), converse, width=calls.width)
    await model.close()
    journal.close()
    return len(verdicts)


async def aiohttp_job(url: str, conversations: int, concurrency: int) -> int:
    import aiohttp

    slots = asyncio.Semaphore(concurrency)
    wanted = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": VERDICT}}

    async def ask(session: aiohttp.ClientSession, messages: list[dict[str, str]], **more: object) -> str:
        body = {"model": "m", "messages": messages, "temperature": 0.0, "max_tokens": 512, **more}
        for tries in range(RETRIES + 1):
            async with slots, session.post(f"{url}/chat/completions", json=body) as response:
                if response.status == 200:
                    return (await response.json())["choices"][0]["message"]["content"]
                await response.read()
            await asyncio.sleep(min(8.0, 0.25 * 2**tries))
        raise RuntimeError("no answer")

    async def converse(session: aiohttp.ClientSession, number: int) -> int:
        seen = [{"role": "system", "content": simulator_prompt(number)}, {"role": "user", "content": "Begin."}]
        said = [{"role": "system", "content": "You are a helpful assistant."}]
        for _ in range(TURNS):
            turn = await ask(session, seen)
            said.append({"role": "user", "content": turn})
            answer = await ask(session, said)
            said.append({"role": "assistant", "content": answer})
            seen += [{"role": "assistant", "content": turn}, {"role": "user", "content": answer}]
        text = "\n".join(f"{message['role']}: {message['content']}" for message in said[1:])
        verdict = await ask(session, [{"role": "user", "content": f"Judge this.\n\n{text}"}], response_format=wanted)
        return json.loads(verdict)["severity"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        return len(await asyncio.gather(*(converse(session, number) for number in range(conversations))))


def main() -> None:
    kind, url, conversations, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    start = time.perf_counter()
    if kind == "aiohttp":
        done = asyncio.run(aiohttp_job(url, conversations, concurrency))
    else:
        done = asyncio.run(breakfix_job(url, conversations, concurrency, Path(sys.argv[5])))
    print(json.dumps({"done": done, "loop_s": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
