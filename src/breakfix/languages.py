"""Languages: their names, and whether a text is written in one.

A language is told by its script, and, where that is English's too, by its small words. This is meant for whole messages
of a simulated user, to notice one that fell back into English; it is no identification of languages.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Literal

from breakfix.packaged import read_data
from breakfix.types import Noun

SCRIPTS: Mapping[str, str] = {
    "latin": "a-zA-ZÀ-ÖØ-öø-ɏḀ-ỿ",
    "cyrillic": "Ѐ-ԯ",
    "arabic": "؀-ۿݐ-ݿﭐ-﷿ﹰ-ﻼ",
    "hebrew": "֐-׿",
    "devanagari": "ऀ-ॿ",
    "bengali": "ঀ-৿",
    "thai": "ก-๛",
    "japanese": "ぁ-ヿ㐀-䶿一-鿿",
    "hangul": "ᄀ-ᇿ㄰-㆏가-힯",
    "han": "㐀-䶿一-鿿",
}
"""Script -> its letters, as ranges of a regular expression."""
FEWEST_LETTERS = 20
"""A shorter text may be anything: a name, a number, "ok"."""
OWN_SHARE = 0.5
"""Share of a text's letters that must be of its language's script; names and code words stay as they are."""
FEWEST_WORDS = 3
"""So many small words of another language, and more of its own than of the one that was asked for, make a text its."""
_KANA = re.compile("[ぁ-ヿ]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")


class Language(Noun):
    """A language that simulated users can write."""

    id: str
    """ISO 639-1 code."""
    name: str
    own: str
    """Its name in itself."""
    script: str
    direction: Literal["ltr", "rtl"] = "ltr"
    words: tuple[str, ...] = ()
    slips: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """Name it for a prompt: in English, and in itself."""
        return self.name if self.name == self.own else f"{self.name} ({self.own})"


@cache
def load_languages() -> Mapping[str, Language]:
    """Read the packaged languages, by code."""
    return {language.id: language for language in map(Language.model_validate, read_data("languages.yaml"))}


def name_of(code: str) -> str:
    """Name a language for a prompt; a code that is not known stands for itself."""
    known = load_languages().get(code)
    return known.called if known else code


def is_written_in(text: str, code: str) -> bool:
    """Tell whether a text can be in this language; a short text, and any text in an unknown language, can be."""
    language = load_languages().get(code)
    letters = len(_LETTER.findall(text))
    if language is None or letters < FEWEST_LETTERS:
        return True
    if len(_letters_of(language.script).findall(text)) < OWN_SHARE * letters:
        return False
    if language.script == "han" and len(_KANA.findall(text)) > OWN_SHARE * letters:
        return False
    return language.script != "latin" or not _is_another_instead(text, language)


def is_slip_in(text: str, code: str) -> bool:
    """Tell whether a text says, in this language, what an assistant says of itself or to decline."""
    language = load_languages().get(code)
    lowered = text.lower()
    return language is not None and any(slip in lowered for slip in language.slips)


def code_of(named: str) -> str:
    """Give the code of a language named by its code in any case or with a region (en-US), or in words (English).

    What names no known language stays as it is.
    """
    plain = named.strip().casefold()
    short = re.split(r"[-_]", plain, maxsplit=1)[0]
    if short in load_languages():
        return short
    return _codes_by_name().get(plain, named)


def unknown(codes: Collection[str]) -> list[str]:
    """Give those of these codes that no language has."""
    return [code for code in codes if code not in load_languages()]


@cache
def _codes_by_name() -> Mapping[str, str]:
    return {name.casefold(): each.id for each in load_languages().values() for name in (each.name, each.own)}


def _is_another_instead(text: str, language: Language) -> bool:
    """Tell whether a text in Latin script has the small words of another language rather than this one's."""
    known, asked = _small_words(), _own_words(language.id)
    words = [word for word in _WORD.findall(text.lower()) if word in known]
    if sum(word not in asked for word in words) < FEWEST_WORDS:
        return False
    for others, own in _words_apart(language.id):
        count = sum(word in others for word in words)
        if count >= FEWEST_WORDS and count > sum(word in own for word in words):
            return True
    return False


@cache
def _small_words() -> frozenset[str]:
    return frozenset(word for language in load_languages().values() for word in language.words)


@cache
def _own_words(code: str) -> frozenset[str]:
    return frozenset(load_languages()[code].words)


@cache
def _words_apart(code: str) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Pair, for each other language, the small words that it alone has with those that this one alone has."""
    own = _own_words(code)
    others = [_own_words(each.id) for each in load_languages().values() if own and each.words and each.id != code]
    return tuple((other - own, own - other) for other in others)


@cache
def _letters_of(script: str) -> re.Pattern[str]:
    return re.compile(f"[{SCRIPTS[script]}]")
