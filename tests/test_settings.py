"""Settings: a list may be written as on the command line, and everything that is wrong in one is named."""

import pytest

from breakfix.errors import SettingsError
from breakfix.settings import load_settings


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


def test_numbers_of_a_list_are_read_from_text():
    assert load_settings(None, ["align.dpo.loss_weights=1.0,0.5"]).align.dpo.loss_weights == (1.0, 0.5)


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
