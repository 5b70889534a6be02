"""Languages: known by name, and a message in the wrong one is noticed."""

import csv
import os
import re
from pathlib import Path

import pytest

from breakfix.languages import SCRIPTS, code_of, is_slip_in, is_written_in, load_languages, name_of

ENGLISH = "What is the best way for me to get to the airport with my bicycle, please?"
SAID = {
    "fr": "Bonjour, quelle est la meilleure façon de se rendre à l’aéroport avec un vélo ?",
    "de": "Guten Tag, wie komme ich am besten mit dem Fahrrad zum Flughafen?",
    "es": "Hola, ¿cuál es la mejor forma de llegar al aeropuerto con la bicicleta?",
    "pt": "Olá, qual é a melhor forma de chegar ao aeroporto com a bicicleta?",
    "it": "Buongiorno, qual è il modo migliore per arrivare in aeroporto con la bicicletta?",
    "ar": "مرحبا، ما هي أفضل طريقة للوصول إلى المطار بالدراجة؟",
    "hi": "नमस्ते, साइकिल से हवाई अड्डे तक पहुँचने का सबसे अच्छा तरीका क्या है?",
    "ja": "こんにちは、自転車で空港まで行く一番いい方法を教えてください。",
    "ko": "안녕하세요, 자전거로 공항까지 가는 가장 좋은 방법이 무엇인가요?",
    "zh": "你好，请问骑自行车去机场最好的路线是什么？我明天一早就要出发。",
    "ru": "Здравствуйте, как лучше всего доехать до аэропорта на велосипеде?",
}


@pytest.mark.parametrize("code", sorted(SAID))
def test_a_message_in_its_language_passes_and_an_english_one_does_not(code: str):
    assert is_written_in(SAID[code], code)
    assert not is_written_in(ENGLISH, code)


@pytest.mark.parametrize("code", ["ar", "hi", "ja", "ko", "zh", "ru"])
def test_another_script_is_noticed_in_english(code: str):
    assert is_written_in(ENGLISH, "en")
    assert not is_written_in(SAID[code], "en")


def test_japanese_is_not_chinese():
    assert not is_written_in(SAID["ja"], "zh")
    assert not is_written_in(SAID["zh"], "ko")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("OK", "ja"),
        ("Ubuntu 24.04?", "ru"),
        ("", "ar"),
        (ENGLISH, "xx"),
        ("Как запустить git rebase --interactive main в терминале Ubuntu, если ветка уже отправлена?", "ru"),
        ("Je cherche le livre « The Lord of the Rings » pour mon fils, où puis-je le trouver à Lyon ?", "fr"),
    ],
)
def test_short_texts_names_and_unknown_languages_are_let_be(text: str, code: str):
    assert is_written_in(text, code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("En tant que modèle de langage, je reste neutre.", "fr"),
        ("Es tut mir leid, dabei kann ich nicht helfen.", "de"),
        ("申し訳ありませんが、AIとしてお答えできません。", "ja"),
        ("Как языковая модель, я не участвую в этом.", "ru"),
    ],
)
def test_an_assistant_s_words_are_noticed_in_its_language(text: str, code: str):
    assert is_slip_in(text, code)
    assert not is_slip_in(SAID[code], code)


@pytest.mark.parametrize(
    ("named", "code"),
    [("EN", "en"), ("en-US", "en"), ("zh_Hant", "zh"), ("English", "en"), ("français", "fr"), ("cs", "cs"), ("", "")],
)
def test_a_language_goes_by_its_code_however_it_is_named(named: str, code: str):
    assert code_of(named) == code


def test_a_language_is_named_in_english_and_in_itself():
    assert (name_of("fr"), name_of("en"), name_of("xx")) == ("French (français)", "English", "xx")


def test_the_twelve_languages_of_the_grid_are_whole():
    known = load_languages()
    for code in ("en", *SAID):
        assert known[code].script in SCRIPTS
        assert code == "en" or known[code].slips
        assert known[code].script != "latin" or len(known[code].words) >= 15
    assert {code for code, language in known.items() if language.direction == "rtl"} == {"ar", "fa", "he"}


def test_every_language_keeps_its_contract():
    known = load_languages()
    assert all(re.fullmatch("[a-z]{2}", code) and language.script in SCRIPTS for code, language in known.items())
    assert len({language.name for language in known.values()}) == len(known)
    assert all(slip == slip.lower() for language in known.values() for slip in language.slips)


@pytest.mark.parametrize(
    ("asked", "said"),
    [("en", "fr"), ("es", "fr"), ("pt", "es"), ("de", "fr"), ("fr", "de"), ("nl", "de")],
)
def test_neighbours_in_one_script_are_told_apart(asked: str, said: str):
    assert not is_written_in(SAID[said], asked)


def published(pattern: str) -> list[dict[str, str]]:
    folder = os.environ.get("BREAKFIX_DATA")
    if not folder:
        pytest.skip("BREAKFIX_DATA is not set: published prompts are needed")
    with next(Path(folder).glob(pattern)).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def share(texts: list[str], code: str) -> float:
    return sum(is_written_in(text, code) for text in texts) / len(texts)


@pytest.mark.parametrize("code", ["en", "it", "zh", "ar", "ko", "vi", "th", "bn", "sw", "jv"])
def test_published_prompts_in_ten_languages_are_known_and_english_ones_noticed(code: str):
    rows = published("multijail/*.csv")
    assert share([row[code] for row in rows if row[code].strip()], code) >= 0.99
    english = [row["en"] for row in rows if len(row["en"].split()) >= 8]
    assert code == "en" or share(english, code) <= 0.05


def test_published_french_and_english_prompts_are_told_apart():
    french = [row["prompt_text"] for row in published("ailuminate*/*fr_fr*.csv")]
    english = [row["prompt_text"] for row in published("ailuminate*/*en_us*.csv")]
    assert min(share(french, "fr"), share(english, "en")) >= 0.99
    assert share(french, "en") <= 0.05
    assert max(share(english, code) for code in ("fr", "de", "es", "pt", "it")) <= 0.03
