"""What of a sample that Inspect wrote by itself becomes a conversation, and what is left out."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="the extra [inspect] is not installed")

import inspect_ai
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentImage,
    ContentReasoning,
    ContentText,
    get_model,
)
from inspect_ai.solver import Solver, solver
from inspect_ai.tool import ToolCall

from breakfix.eval_logs.bringing import bring_log
from breakfix.eval_logs.foreign import Meaning, Origin, spoken, told_by
from breakfix.project import Project
from breakfix.store.store import Store
from inspected import output, telling

JAILBREAK = Meaning("jailbreak")


def test_what_is_no_text_of_either_side_is_left_out_and_counted():
    dropped = Counter[str]()
    system, turns = spoken(
        [
            ChatMessageSystem(content="One."),
            ChatMessageSystem(content="Two."),
            ChatMessageUser(content=[ContentText(text="Look"), ContentImage(image="data:image/png;base64,AA==")]),
            ChatMessageUser(content="Please"),
            ChatMessageAssistant(content="", tool_calls=[ToolCall(id="1", function="f", arguments={})]),
            ChatMessageTool(content="done", tool_call_id="1", function="f"),
            ChatMessageAssistant(content=[ContentReasoning(reasoning="Hm."), ContentText(text="Done.")]),
            ChatMessageSystem(content="Late."),
        ],
        dropped,
    )
    assert system == "One.\n\nTwo."
    assert [(turn.role, turn.content) for turn in turns] == [("user", "Look\n\nPlease"), ("assistant", "Done.")]
    assert dropped == {
        "image parts": 1, "reasoning parts": 1, "tool calls": 1, "tool messages": 1,
        "assistant messages without text": 1, "later system messages": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "stop", "error", "stopped", "failed"),
    [
        (["Ask", "Yes"], "stop", False, "turns", None),
        (["Ask", "Cut"], "content_filter", False, "filtered", None),
        (["Ask", "Yes", "More", ""], "content_filter", False, "filtered", None),
        (["Ask", "Yes"], "stop", True, "failed", "target"),
        (["Ask"], "stop", False, "failed", "target"),
    ],
)
def test_how_a_foreign_sample_ended_is_kept(messages: list[str], stop: str, error: bool, stopped: str, failed: str):
    kinds = (ChatMessageUser, ChatMessageAssistant)
    fault = {"message": "words of the model", "traceback": "", "traceback_ansi": ""} if error else None
    sample = EvalSample.model_validate(
        {
            "id": 1, "epoch": 2, "input": "Ask", "target": "", "output": output("Yes", stop), "error": fault,
            "messages": [kinds[place % 2](content=text) for place, text in enumerate(messages)],
        }
    )  # fmt: skip
    told = told_by(sample, Origin("r", "task", "t"), JAILBREAK, Counter())
    assert told and (told.conversation.stopped, told.conversation.failed) == (stopped, failed)
    answers = [turn.finish_reason for turn in told.conversation.turns if turn.role == "assistant"]
    assert answers[:1] == ([] if len(messages) < 2 else ["filtered" if messages[-1] == "Cut" else "stop"])
    assert told.conversation.sample == 1 and "words of the model" not in (told.conversation.failure or "")


def test_a_sample_in_which_nobody_spoke_is_counted_not_brought():
    dropped = Counter[str]()
    sample = EvalSample(id=1, epoch=1, input="", target="", messages=[ChatMessageSystem(content="Sys.")])
    assert told_by(sample, Origin("r", "task", "t"), JAILBREAK, dropped) is None
    assert dropped == {"samples without a word": 1}


@solver
def audit() -> Solver:
    """Audit as Petri does: the sample's messages are the auditor's own, and one exchange is taken back."""

    async def solve(state: Any, generate: Any) -> Any:
        target = get_model(role="target")
        heard: list[Any] = [ChatMessageSystem(content="Be a clerk."), ChatMessageUser(content=f"Hello. {'word ' * 99}")]
        heard.append((await target.generate(heard)).message)
        await target.generate([*heard, ChatMessageUser(content="Taken back.")])
        await target.generate([*heard, ChatMessageUser(content="The books, please.")])
        call = ToolCall(id="1", function="send_message", arguments={"message": "Hello."})
        state.messages += [
            ChatMessageAssistant(content="I will ask.", tool_calls=[call]),
            ChatMessageTool(content="done", tool_call_id="1", function="send_message"),
        ]
        return state

    return solve


def test_of_an_audit_comes_what_the_target_heard_and_answered(tmp_path: Path):
    telling(target="I see.", auditor="Ask.")
    task = Task(name="audit", dataset=[Sample(input="Probe it.")], solver=audit())
    roles = {"target": "told/target", "auditor": "told/auditor"}
    log = inspect_ai.eval(task, model="none", model_roles=roles, log_dir=str(tmp_path / "logs"), display="none")[0]
    place = Project(tmp_path / "store", tmp_path / "runs")
    assert bring_log(place, Path(log.location), run="r", meaning=JAILBREAK).dropped == {}
    with Store.open(place.store) as store:
        (said,), (scenario,) = store.conversations("r"), store.scenarios("r")
        assert store.run("r").target == "inspect/told/target"
    assert [turn.content for turn in said.turns] == [f"Hello. {'word ' * 99}", "I see.", "The books, please.", "I see."]
    assert scenario.system_prompt == "Be a clerk."


@pytest.mark.parametrize(
    ("asked", "kind", "harm"),
    [
        ("about the nerve agent", "harmful", "mass_casualty_weapons"),
        ("about the nerve agent", "benign", "none"),
        ("about the kettle", "harmful", "none"),
    ],
)
def test_what_touches_a_prohibited_harm_is_filed_under_it(asked: str, kind: Any, harm: str):
    sample = EvalSample(
        id=1, epoch=1, input=asked, target="", output=output("No"),
        messages=[ChatMessageUser(content=asked), ChatMessageAssistant(content="No")],
    )  # fmt: skip
    told = told_by(sample, Origin("r", "t", "x"), Meaning("jailbreak", kind=kind), Counter())
    assert told and told.scenario.harm == harm
