"""Names become models, or one clear line."""

from pathlib import Path

import pytest
import yaml

from breakfix.errors import DataError, ModelError
from breakfix.models.keys import Address, Key, host_address, key_refused, openai_address, proxy_for
from breakfix.models.open import open_model
from breakfix.models.weight_files import HUB_FILES
from breakfix.models.weights import home_folder, lab_folder
from breakfix.secrecy import without_headers
from breakfix.settings import CallSettings, ModelSettings, settings_from

PLAIN = ModelSettings()
HOST = "http://127.0.0.1:9/v1#m"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("openay/gpt-4o", r"Unknown model 'openay/gpt-4o'\. Did you mean 'openai/'"),
        ("lab/minni", r"No lab model 'minni'\. Known: lab/mini"),
        ("lab-mini", r"Did you mean 'lab/mini'"),
        ("replay", r"Did you mean 'replay/'"),
        ("gpt-4o", r"Unknown model 'gpt-4o'\. Did you mean 'openai/gpt-4o'"),
        ("localhost:8000/v1#m", r"Did you mean 'http://localhost:8000/v1#m'"),
        ("nope", r"Unknown model 'nope'\. A model is one of: lab/mini"),
        ("", "Unknown model ''"),
        ("http://127.0.0.1/v1", r"names no model\. Write it after a #"),
        ("http://#m", "is not a URL"),
        ("http://host:port/v1#m", "not a valid URL"),
        ("http://user:word@host/v1#m", "must not hold a password"),
        ("openai/", "names no model"),
        ("replay/no-such-file.jsonl", "no file 'no-such-file.jsonl'"),
        ("scripted/no-such-file.yaml", "no file 'no-such-file.yaml'"),
    ],
)
def test_a_wrong_name_is_one_clear_line(name: str, told: str):
    with pytest.raises(ModelError, match=told) as error:
        open_model(name)
    assert "\n" not in str(error.value)
    assert "word" not in str(error.value).replace("password", "")


@pytest.mark.parametrize("kind", ["replay", "scripted"])
def test_a_folder_in_the_place_of_a_file_is_called_a_folder(tmp_path: Path, kind: str):
    with pytest.raises(ModelError, match=r"is a folder\. Name one of its files"):
        open_model(f"{kind}/{tmp_path}")


def test_a_missing_file_is_looked_for_in_a_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="taken from the folder") as error:
        open_model("replay/gone.jsonl")
    assert repr(str(tmp_path)) in str(error.value)
    with pytest.raises(ModelError, match=r"Check the path\.$"):
        open_model(f"replay/{tmp_path}/gone.jsonl")


def test_files_become_models(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "p", "completion": "c"}')
    (tmp_path / "a.yaml").write_text("- reply: yes, always")
    assert open_model(f"replay/{tmp_path}/a.jsonl").name.startswith("replay/")
    assert open_model(f"scripted/{tmp_path}/a.yaml").name.startswith("scripted/")


def test_an_empty_replay_is_a_data_error(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(DataError, match="no recorded answers"):
        open_model(f"replay/{tmp_path}/a.jsonl")


def test_identity_is_url_and_model_unless_settings_name_it():
    one, other_port = open_model(HOST), open_model(HOST.replace(":9", ":10"))
    named = ModelSettings(identity="replica set a")
    assert one.identity != other_port.identity
    assert open_model(HOST).identity == one.identity
    assert open_model(HOST, named).identity == open_model(HOST.replace(":9", ":10"), named, CallSettings()).identity


# ── keys stay home (D13) ──


@pytest.mark.parametrize(
    ("settings", "environ", "variable"),
    [
        ({}, {"OPENAI_API_KEY": "s"}, None),
        ({}, {"OPENAI_API_KEY": "s", "BREAKFIX_API_KEY": "b"}, "BREAKFIX_API_KEY"),
        ({"api_key_env": "MINE"}, {"MINE": "m", "OPENAI_API_KEY": "s", "BREAKFIX_API_KEY": "b"}, "MINE"),
        ({"api_key_env": "OPENAI_API_KEY"}, {"OPENAI_API_KEY": "s"}, "OPENAI_API_KEY"),
        ({}, {"OPENAI_API_KEY": "s", "OPENAI_BASE_URL": "http://host/v1"}, None),
        ({}, {}, None),
    ],
)
def test_a_host_gets_only_the_key_meant_for_it(settings: dict[str, str], environ: dict[str, str], variable: str | None):
    key = host_address("http://host/v1#m", ModelSettings(**settings), environ).key
    assert (key.variable if key else None) == variable


@pytest.mark.parametrize(
    ("settings", "environ", "url", "variable"),
    [
        ({}, {"OPENAI_API_KEY": "s"}, "https://api.openai.com/v1", "OPENAI_API_KEY"),
        ({}, {"OPENAI_API_KEY": "s", "OPENAI_BASE_URL": "http://h/v1/"}, "http://h/v1", "OPENAI_API_KEY"),
        ({"base_url": "http://other/v1"}, {"OPENAI_API_KEY": "s"}, "http://other/v1", None),
        (
            {"base_url": "https://api.openai.com/v1"},
            {"OPENAI_API_KEY": "s"},
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
        ),
        ({"api_key_env": "MINE"}, {"MINE": "m", "OPENAI_API_KEY": "s"}, "https://api.openai.com/v1", "MINE"),
        ({}, {"BREAKFIX_API_KEY": "b"}, "https://api.openai.com/v1", "BREAKFIX_API_KEY"),
    ],
)
def test_openai_names_reach_openai_or_where_the_environment_points(
    settings: dict[str, str], environ: dict[str, str], url: str, variable: str | None
):
    address = openai_address("openai/m", ModelSettings(**settings), environ)
    assert (address.url, address.key.variable if address.key else None) == (url, variable)


def test_a_named_key_that_is_not_set_is_an_error_not_another_key():
    with pytest.raises(ModelError, match=r"api_key_env names 'MINE', which is not set"):
        host_address("http://host/v1#m", ModelSettings(api_key_env="MINE"), {"OPENAI_API_KEY": "s"})


def test_openai_without_any_key_says_so():
    with pytest.raises(ModelError, match="set OPENAI_API_KEY"):
        openai_address("openai/m", PLAIN, {})


def test_a_key_is_never_shown():
    key = Key("very-secret", "MINE")
    refused = key_refused("openai/m", Address("http://h/v1", "m", key, {}), 401, {})
    assert "very-secret" not in repr(key) + str(refused)
    assert "MINE" in str(refused)


@pytest.mark.parametrize(
    "name", ["http://u:very-secret@h/v1#m", "http://u:very-secret@h:x/v1#m", "http://u:very-secret@h/v1"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(name: str):
    with pytest.raises(ModelError, match="must not hold a password") as refused:
        host_address(name, PLAIN, {})
    assert "very-secret" not in str(refused.value)


def test_a_password_in_the_environments_address_is_not_shown_either():
    with pytest.raises(ModelError, match="must not hold a password") as refused:
        openai_address("openai/m", PLAIN, {"OPENAI_API_KEY": "s", "OPENAI_BASE_URL": "ftp://u:very-secret@h/v1"})
    assert "very-secret" not in str(refused.value)


def test_a_header_that_an_export_hid_is_not_sent_as_it_stands():
    text = without_headers("models: {'http://h/v1#m': {headers: {api-key: s3cret}}}")
    settings = settings_from(yaml.safe_load(text), where="test").model_settings("http://h/v1#m")
    with pytest.raises(ModelError, match=r"headers\.api-key was hidden .*headers\.api-key=env:NAME"):
        host_address("http://h/v1#m", settings, {})


def test_headers_may_come_from_the_environment():
    settings = ModelSettings(headers={"api-key": "env:AZURE", "x-team": "red"})
    assert host_address("http://h/v1#m", settings, {"AZURE": "k"}).headers == {"api-key": "k", "x-team": "red"}
    with pytest.raises(ModelError, match="'AZURE', which is not set"):
        host_address("http://h/v1#m", settings, {})


# ── places ──


def test_caches_lie_where_the_environment_says(tmp_path: Path):
    assert home_folder({"BREAKFIX_HOME": str(tmp_path)}) == tmp_path
    assert home_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "breakfix"


def test_a_lab_model_that_was_built_goes_before_the_packaged_one(tmp_path: Path):
    with pytest.raises(ModelError, match="breakfix lab build medium"):
        lab_folder("medium", {"BREAKFIX_HOME": str(tmp_path)})
    built = tmp_path / "lab" / "medium"
    built.mkdir(parents=True)
    (built / "config.json").write_text("{}")
    assert lab_folder("medium", {"BREAKFIX_HOME": str(tmp_path)}) == built


def test_code_is_fetched_from_the_hub_beside_the_weights_and_pickles_are_not():
    hub = pytest.importorskip("huggingface_hub.utils", reason="the extra [train] is not installed")
    there = ["model.safetensors", "modeling_own.py", "pytorch_model.bin", "tokenizer.json", "README.md"]
    fetched = list(hub.filter_repo_objects(there, allow_patterns=HUB_FILES))
    assert fetched == ["model.safetensors", "modeling_own.py", "tokenizer.json"]


def test_this_machine_is_never_reached_through_a_proxy():
    assert proxy_for("http://127.0.0.1:8000/v1") is None
    assert proxy_for("http://localhost:8000/v1") is None
