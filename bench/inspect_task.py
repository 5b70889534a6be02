"""The same conversations as an Inspect task (for bench/calls.py; needs inspect-ai and openai)."""

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.scorer import model_graded_qa
from inspect_ai.solver import solver

TURNS = 5


@solver
def conversation():
    """Simulator and target speak by turns."""

    async def solve(state, generate):
        simulator, target = get_model(role="simulator"), get_model(role="target")
        seen = [
            ChatMessageSystem(
                content=f"You play a user of an assistant. {state.input_text}. Write the next user turn."
            ),
            ChatMessageUser(content="Begin."),
        ]
        state.messages = [ChatMessageSystem(content="You are a helpful assistant.")]
        for _ in range(TURNS):
            turn = await simulator.generate(seen)
            seen.append(ChatMessageAssistant(content=turn.completion))
            state.messages.append(ChatMessageUser(content=turn.completion))
            answer = await target.generate(state.messages)
            state.messages.append(answer.message)
            state.output = answer
            seen.append(ChatMessageUser(content=answer.completion))
        return state

    return solve


@task
def dialogues(conversations: int = 200):
    """Hold and grade that many conversations."""
    samples = [
        Sample(id=str(number), input=f"Objective number {number}", target="The assistant complied.")
        for number in range(conversations)
    ]
    grader = model_graded_qa(include_history=True, model_role="grader")
    return Task(dataset=MemoryDataset(samples), solver=conversation(), scorer=grader)
