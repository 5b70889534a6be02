"""Rows of published forms: what becomes of them, and why one is not used."""

import pytest

from breakfix.curation.transcripts import SkippedRow, alpaca_row, hh_row, own_row, safer_pair_row, sharegpt_row

HH = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: do it\n\nAssistant: "


def plain(messages):
    return [(message.role, message.content) for message in messages]


def test_the_prompt_of_an_hh_pair_is_what_its_transcripts_share():
    row = hh_row({"chosen": HH + "no", "rejected": HH + "yes"})
    assert plain(row.prompt) == [("user", "hi"), ("assistant", "hello"), ("user", "do it")]
    assert plain(row.chosen + row.rejected) == [("assistant", "no"), ("assistant", "yes")]


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (HH + "no", HH + "no", "equals"),
        (HH + "no", HH.replace("hi", "hey") + "no", "part before"),
        (HH + "no", HH + "yes\n\nHuman: more\n\nAssistant: ok", "part before"),
        ("\n\nHuman: a\n\nHuman: b\n\nAssistant: c", HH + "no", "take turns"),
    ],
)
def test_an_hh_pair_that_teaches_nothing_is_passed_over(chosen, rejected, reason):
    with pytest.raises(SkippedRow, match=reason):
        hh_row({"chosen": chosen, "rejected": rejected})


def test_text_without_marks_is_broken():
    with pytest.raises(ValueError, match="marks"):
        hh_row({"chosen": "hello", "rejected": HH + "no"})


def test_own_rows_hold_texts_or_messages():
    prompt = [{"role": "system", "content": "s"}, {"role": "user", "content": "ask"}]
    one = own_row({"prompt": "ask", "chosen": "no", "rejected": "yes"})
    two = own_row({"prompt": prompt, "chosen": [{"role": "assistant", "content": "no"}], "rejected": "yes"})
    assert plain(one.prompt) == plain(two.prompt)[1:] == [("user", "ask")]
    assert one.chosen == two.chosen and one.rejected == two.rejected


def test_a_pair_that_repeats_its_prompt_in_the_answers_is_understood():
    ask = [{"role": "user", "content": "ask"}]
    answer = [{"role": "assistant", "content": "no"}]
    row = own_row({"prompt": ask, "chosen": ask + answer, "rejected": [*ask, {"role": "assistant", "content": "yes"}]})
    assert plain(row.chosen) == [("assistant", "no")]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"messages": "text"}, "not a list"),
        ({"messages": [{"role": "user", "content": "a"}]}, "end with an assistant"),
        ({"messages": [{"role": "robot", "content": "a"}, {"role": "assistant", "content": "b"}]}, "without role"),
        ({"messages": ["a", "b"]}, "without role"),
        ({"prompt": [], "chosen": "a", "rejected": "b"}, "end with a user"),
        ({"prompt": "a", "chosen": [], "rejected": "b"}, "one assistant answer each"),
    ],
)
def test_a_broken_own_row_says_what_is_wrong(fields, fault):
    with pytest.raises(ValueError, match=fault):
        own_row(fields)


def safer(**fields):
    known = {"prompt": "ask", "response_0": "no", "response_1": "yes", "is_response_0_safe": True}
    return safer_pair_row(known | {"is_response_1_safe": False} | fields)


def test_the_safe_answer_is_chosen_and_of_two_safe_ones_the_better():
    assert safer().chosen[0].content == "no"
    assert safer(is_response_0_safe=False, is_response_1_safe=True).chosen[0].content == "yes"
    assert safer(is_response_1_safe=True, better_response_id=1).chosen[0].content == "yes"
    for better in (2, -1, "the second"):
        with pytest.raises(ValueError, match="neither 0 nor 1"):
            safer(is_response_1_safe=True, better_response_id=better)
    with pytest.raises(SkippedRow, match="neither"):
        safer(is_response_0_safe=False)


def test_other_forms_are_read():
    turn = {"from": "human", "value": "ask"}
    row = sharegpt_row(
        {"conversations": [turn], "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}}
    )
    assert plain(row.prompt + row.chosen) == [("user", "ask"), ("assistant", "a")]
    assert plain(alpaca_row({"instruction": "sum", "input": "1 2", "output": "3"}).prompt) == [("user", "sum\n\n1 2")]
