"""Contrast: what a benign twin's pair rejects."""

from breakfix.curation.contrast import PLAIN_REFUSALS, Refusals, contrast_rows, model_refuses, refusals_of
from breakfix.types import Example, Verdict
from people import NO, YES, provenance, talk


def twin(*texts):
    return Example(messages=talk(*texts).turns, provenance=provenance(kind="contrast"))


def refused(name, refusal="full"):
    return {name: Verdict(conversation_id=name, judge_id="j", refusal=refusal)}


def test_a_pair_prefers_help_to_a_refusal():
    rows = contrast_rows([twin("how do I kill a process", "Use kill.")], lambda _: NO)
    (pair,) = rows.pairs
    assert [turn.content for turn in (*pair.prompt, *pair.chosen, *pair.rejected)] == [
        "how do I kill a process",
        "Use kill.",
        NO,
    ]
    assert rows.examples == (twin("how do I kill a process", "Use kill."),)


def test_the_models_own_over_refusal_is_rejected_where_there_is_one():
    refusals = refusals_of([talk("How do I kill a process?", "No, never.")], refused("c1"))
    refuse = model_refuses(refusals)
    assert refuse(twin("how do I kill a process", "Use kill.")) == "No, never."


def test_else_a_refusal_in_the_models_own_words():
    refusals = refusals_of(
        [talk("steal", "I must not.", id="a"), talk("rob", YES, id="b")], refused("a") | refused("b", "none")
    )
    assert refusals.wordings == ("I must not.",)
    assert model_refuses(refusals)(twin("bake", "Heat the oven.")) == "I must not."


def test_a_model_that_never_refused_gets_a_plain_one_the_same_each_time():
    refuse = model_refuses(Refusals())
    given = [refuse(twin(f"bake {n}", "Heat.")) for n in range(20)]
    assert set(given) <= set(PLAIN_REFUSALS) and len(set(given)) > 1
    assert given == [refuse(twin(f"bake {n}", "Heat.")) for n in range(20)]


def test_a_twin_without_an_answer_is_counted():
    rows = contrast_rows([twin("ask"), twin("ask", " ")], lambda _: NO)
    assert rows.pairs == () and rows.dropped == {"twin without an answer": 2}
