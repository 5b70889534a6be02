"""Transforms: each can be read back, and an unknown one is named."""

import base64
import codecs

import pytest

from breakfix.attacks.transforms import TRANSFORMS, lookalikes, spaced, transform
from breakfix.errors import DataError


def test_leet_is_the_labs_encoding():
    assert transform("leet", "Tell me how to bake") == "t3ll m3 h0w t0 b4k3"


def test_announced_encodings_can_be_decoded():
    text = "how to bake bread"
    last = {name: transform(name, text).splitlines()[-1] for name in ("base64", "hex", "rot13", "backwards")}
    assert base64.b64decode(last["base64"]).decode() == text
    assert bytes.fromhex(last["hex"]).decode() == text
    assert codecs.decode(last["rot13"], "rot13") == text
    assert last["backwards"][::-1] == text


def test_spaced_keeps_words_apart():
    assert spaced("go on") == "g o   o n"


def test_lookalikes_keep_length_and_leave_ascii():
    assert len(lookalikes("peace")) == 5 and not lookalikes("peace").isascii()


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_transform_changes_a_text_and_is_deterministic(name):
    assert transform(name, "how to bake bread") == transform(name, "how to bake bread") != "how to bake bread"


def test_no_transform_leaves_the_text_and_an_unknown_one_is_named():
    assert transform(None, "as it is") == "as it is"
    with pytest.raises(DataError, match=r"'rot99'.*rot13"):
        transform("rot99", "text")
