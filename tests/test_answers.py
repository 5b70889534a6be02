"""What an endpoint says it does not take is left out, and nothing else."""

import json
from typing import Any

import pytest

from breakfix.models.answers import Answer, Form, reply_from, request_body, simpler_form
from breakfix.pacing import TryAgain
from breakfix.types import Decoding, Message

TEMPERATURE, TOP_P = frozenset({"temperature"}), frozenset({"top_p"})
PYDANTIC = {"detail": [{"loc": ["body", "top_p"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}]}


def refusal(said: str | dict[str, Any], status: int = 400) -> Answer:
    body = {"error": {"message": said}} if isinstance(said, str) else said
    return Answer(status, json.dumps(body).encode(), {})


@pytest.mark.parametrize(
    ("said", "left_out"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.", TEMPERATURE),
        ("'temperature' does not support 0 with this model. Only the default (1) value is supported.", TEMPERATURE),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", TOP_P),
        ("temperature and top_p are not supported", TEMPERATURE | TOP_P),
        (PYDANTIC, TOP_P),
        ("temperature must be between 0 and 1", None),
        ("temperature: should be strictly positive", None),
        ("The prompt about the temperature_of_water is too long", None),
        ("Unsupported content type", None),
    ],
)
def test_only_what_is_said_to_be_unsupported_is_left_out(said: str | dict[str, Any], left_out: frozenset[str] | None):
    form = simpler_form(Form(), refusal(said), Decoding(), is_schema_known=False)
    assert (form and form.unsampled) == left_out


def test_the_other_half_of_sampling_is_still_sent():
    chat, decoding = [Message(role="user", content="Hello.")], Decoding(temperature=0.7, top_p=0.9)
    body = json.loads(request_body("m", chat, decoding, Form(unsampled=TEMPERATURE)))
    assert "temperature" not in body and body["top_p"] == 0.9
    more = simpler_form(Form(unsampled=TEMPERATURE), refusal("top_p is not supported"), decoding, is_schema_known=False)
    assert more == Form(unsampled=TEMPERATURE | TOP_P)


def test_what_was_left_out_already_is_not_left_out_again():
    again = refusal("temperature is not supported")
    assert simpler_form(Form(unsampled=TEMPERATURE), again, Decoding(), is_schema_known=False) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("\n<!DOCTYPE html><p>Log in</p>", "a web page instead of a chat completion: check the URL"),
        ('{"error": {"message": "what was asked", "code": "overloaded"}}', r"with HTTP 200 \(overloaded\)$"),
        ('{"error": "what was asked"}', "an error in place of a chat completion, with HTTP 200$"),
        ('{"choices": []}', "^an answer that is not a chat completion$"),
    ],
)
def test_what_came_instead_of_an_answer_is_named_and_never_quoted(body: str, expected: str):
    with pytest.raises(TryAgain, match=expected) as caught:
        reply_from(Answer(200, body.encode(), {}))
    assert "asked" not in str(caught.value)
