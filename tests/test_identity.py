import pytest

from breakfix.identity import digest, short


@pytest.mark.parametrize("digits", [6, 8, 12])
def test_a_hash_is_shortened_and_a_name_is_not(digits: int):
    assert short(digest("any"), digits) == digest("any")[:digits]
    assert short("lab/exact@2", digits) == "lab/exact@2"
