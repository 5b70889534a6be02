"""Secrets in what was typed: none is shown, kept or part of an identity."""

import shlex

import pytest

from breakfix.errors import ModelError
from breakfix.models.keys import host_address, openai_address
from breakfix.models.open import open_model
from breakfix.secrecy import filled_query, refuse_secrets_in, shown_command
from breakfix.settings import CycleSettings, ModelSettings

FIELDS = ("api-key", "api_key", "apikey", "key", "access_token", "sig", "subscription-key", "x-functions-key", "code")


@pytest.mark.parametrize("field", FIELDS)
def test_a_key_in_a_url_is_refused_and_not_shown(field: str):
    with pytest.raises(ModelError, match=f"must not hold a key. Write {field}=env:NAME") as refused:
        open_model(f"https://h/v1?api-version=1&{field}=very-s3cret#m")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("query", ["api-version=2024-10-21", "max_tokens=5&keyed=no", "api-key=", "deployment=a"])
def test_what_is_no_key_may_stand_in_a_url(query: str):
    assert host_address(f"https://h/v1?{query}#m", ModelSettings(), {}).url.endswith(query)


def test_a_key_in_a_base_url_is_refused_wherever_it_comes_from():
    url = "https://h/v1?key=very-s3cret"
    for settings, environ in ((ModelSettings(base_url=url), {}), (ModelSettings(), {"OPENAI_BASE_URL": url})):
        with pytest.raises(ModelError, match="must not hold a key") as refused:
            openai_address("openai/m", settings, environ)
        assert "s3cret" not in str(refused.value)


def test_a_key_of_the_environment_is_sent_and_is_no_part_of_name_or_identity():
    name = "https://h/v1?api-version=1&api-key=env:HOST_KEY#m"
    first, second = (host_address(name, ModelSettings(), {"HOST_KEY": key}) for key in ("a+b", "other"))
    assert (first.sent_query, second.sent_query) == ("api-version=1&api-key=a%2Bb", "api-version=1&api-key=other")
    assert first[:2] == second[:2], "what the identity is made of"
    assert "a+b" not in str(first[:2])
    with pytest.raises(ModelError, match="names 'HOST_KEY', which is not set"):
        filled_query(name.partition("#")[0], {})


@pytest.mark.parametrize(
    "settings",
    [
        {"target": "https://h/v1?key=very-s3cret#m"},
        {"target": "lab/mini", "judge": "refusal,https://u:very-s3cret@h/v1#m"},
        {"target": "lab/mini", "judge": "guard/llama-guard=https://h/v1?key=very-s3cret#m"},
        {"target": "openai/m", "models": {"openai/m": {"base_url": "https://h/v1?sig=very-s3cret"}}},
        {"target": "openai/m", "models": {"https://h/v1?sig=very-s3cret#m": {}}},
    ],
)
def test_settings_with_a_secret_in_an_address_are_refused(settings: dict[str, object]):
    with pytest.raises(ModelError, match="must not hold a") as refused:
        refuse_secrets_in(CycleSettings.model_validate(settings))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--set", "models.openai/m.headers.api-key=s3cret"), "--set 'models.openai/m.headers.api-key=(hidden)'"),
        (("--set", "models.m.headers.api-key=env:KEY"), "--set models.m.headers.api-key=env:KEY"),
        (("--set=models.m.headers={a: s3cret}",), "'--set=models.m.headers=(hidden)'"),
        (("--set", "models={m: {headers: {a: s3cret, b: env:B}}}"), "--set 'models=(hidden)'"),
        (("--set", "models.m.api_key_env=MY_KEY"), "--set models.m.api_key_env=MY_KEY"),
        (("--set", "models.m.api_key_env=sk-s3cret"), "--set 'models.m.api_key_env=(hidden)'"),
        (("-t", "https://h/v1?a=1&key=s3cret#m"), "-t 'https://h/v1?a=1&key=(hidden)#m'"),
        (("--set", "measure.turns=5", "-n", "3"), "--set measure.turns=5 -n 3"),
    ],
)
def test_a_command_is_kept_without_its_secrets(words: tuple[str, ...], shown: str):
    assert shown_command(words) == shown


def test_a_command_is_kept_so_that_it_can_be_typed_again():
    words = ["breakfix", "measure", "-t", "http://h/v1?a=1&b=2#m", "--set", "measure.harms=[a, b]", "--run", "it's"]
    assert shlex.split(shown_command(words)) == words
