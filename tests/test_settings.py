"""Settings: a list may be written as on the command line, and everything that is wrong in one is named."""

from pathlib import Path

import pytest

from breakfix.errors import SettingsError
from breakfix.settings import CycleSettings, load_settings


@pytest.mark.parametrize(
    ("override", "personas"),
    [
        ("measure.personas=formal", ("formal",)),
        ("measure.personas=formal, curious", ("formal", "curious")),
        ("measure.personas=[formal,curious]", ("formal", "curious")),
        ("measure.personas=''", ()),
    ],
)
def test_a_list_may_be_written_with_commas(override: str, personas: tuple[str, ...]):
    assert load_settings(None, [override]).measure.personas == personas


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\nseed: 2\n", "line 2: 'seed' is there twice"),
        ("measure:\n  turns: 2\nseed: 1\nmeasure: {samples: 2}\n", "line 4: 'measure' is there twice"),
        ("models: {a/b: {top_p: 0.5, top_p: 0.6}}\n", "line 1: 'top_p' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_as_one_would_be_dropped(tmp_path: Path, text: str, said: str):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("override", "group", "kept"),
    [
        ("measure.measures=jailbreak,refusal,jailbreak", "measure", ("jailbreak", "refusal")),
        ("measure.measures=[refusal, refusal]", "measure", ("refusal",)),
        ("curate.sources=[a.jsonl, b.jsonl, a.jsonl]", "curate", ("a.jsonl", "b.jsonl")),
    ],
)
def test_what_is_named_twice_counts_once(override: str, group: str, kept: tuple[str, ...]):
    key = override.partition("=")[0].rpartition(".")[2]
    assert getattr(getattr(load_settings(None, [override]), group), key) == kept


def test_two_weights_may_be_equal():
    assert load_settings(None, ["align.dpo.loss_weights=1.0,1.0"]).align.dpo.loss_weights == (1.0, 1.0)


def test_a_group_a_table_or_a_list_that_is_left_empty_is_empty(tmp_path: Path):
    (tmp_path / "s.yaml").write_text("measure:\nmodels:\nalign:\n  sft:\ncurate:\n  sources:\n")
    settings = load_settings(tmp_path / "s.yaml")
    assert settings == CycleSettings()
    over = load_settings(tmp_path / "s.yaml", ["measure.turns=1", "align.sft.epochs=2", "models.a/b.top_p=0.5"])
    assert (over.measure.turns, over.align.sft.epochs, over.models["a/b"].top_p) == (1, 2, 0.5)


def test_a_list_that_must_name_something_says_so_in_words():
    with pytest.raises(
        SettingsError, match=r"^--measures: setting 'measure\.measures': name at least one \(got \[\]\)"
    ):
        load_settings(None, options={"measure.measures": "[]"})


def test_numbers_of_a_list_are_read_from_text():
    assert load_settings(None, ["align.dpo.loss_weights=1.0,0.5"]).align.dpo.loss_weights == (1.0, 0.5)


def test_one_header_of_a_model_may_be_set_by_its_name():
    key = "models.http://h.x/v1.5#m.headers.api-key"
    settings = load_settings(None, [f"{key}=env:MINE"])
    assert settings.model_settings("http://h.x/v1.5#m").headers == {"api-key": "env:MINE"}


def test_text_stays_text_where_no_list_is_asked_for():
    assert load_settings(None, ["judge=a,b"]).judge == "a,b"


@pytest.mark.parametrize("override", ["measure.measures=jailbrake,refusl", "measure.measures=[jailbrake, refusl]"])
def test_all_that_is_wrong_in_one_list_is_named(override: str):
    with pytest.raises(SettingsError) as error:
        load_settings(None, [override])
    for said in ("'jailbrake'", "Did you mean 'jailbreak'?", "Nor 'refusl'. Did you mean 'refusal'?"):
        assert said in str(error.value)


def test_a_list_of_another_kind_is_refused():
    with pytest.raises(SettingsError, match=r"'measure\.personas'"):
        load_settings(None, ["measure.personas=3"])


@pytest.mark.parametrize(
    ("override", "options", "said"),
    [
        ("target.base_url=http://h/v1", {"target": '"openai/gpt-4o"'}, "--set: setting 'target': .*string"),
        ("judge.foo=3", {"judge": '"embedded"'}, "--set: setting 'judge': .*string"),
        ("seed=abc", {"seed": "3"}, "--set: setting 'seed': .*integer"),
        ("measure.turns=abc", {"measure.turns": "1"}, "--set: setting 'measure.turns': .*integer"),
        ("measure.truns=3", {"measure.turns": "1"}, "Did you mean 'turns'"),
    ],
)
def test_an_override_that_is_wrong_is_refused_though_an_option_lies_over_it(
    override: str, options: dict[str, str], said: str
):
    with pytest.raises(SettingsError, match=said):
        load_settings(None, [override], options=options)
    with pytest.raises(SettingsError, match=f"{said}|is a value, not a group"):
        load_settings(None, [override], options=options, saved="{target: x, judge: null, seed: 1, measure: {turns: 2}}")


def test_an_option_lies_over_an_override_that_is_right():
    settings = load_settings(None, ["seed=4", "measure.turns=2"], options={"seed": "3"})
    assert (settings.seed, settings.measure.turns) == (3, 2)


def test_what_is_wrong_in_an_option_is_said_of_the_option():
    with pytest.raises(SettingsError, match=r"^--turns: setting 'measure\.turns'"):
        load_settings(None, ["seed=4"], options={"measure.turns": "0"})
