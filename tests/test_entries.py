import pytest

from breakfix.report.entries import SUPERSCRIPTS, mark_of, raised, told


@pytest.mark.parametrize(
    ("place", "mark"), [(0, "a"), (15, "p"), (16, "r"), (24, "z"), (25, "aa"), (49, "az"), (50, "ba")]
)
def test_marks_go_on_where_the_alphabet_ends_and_pass_over_the_letter_that_cannot_be_raised(place: int, mark: str):
    assert mark_of(place) == mark and len(raised(mark)) == len(mark)


def test_no_two_places_share_a_mark():
    marks = [mark_of(place) for place in range(700)]
    assert len(set(marks)) == 700 and {letter for mark in marks for letter in mark} == set(SUPERSCRIPTS)


def test_a_terminal_explains_marks_in_one_line():
    assert told([("a", "refusal 157bc8, 2025-11-22"), ("b", "people's labels")]) == (
        "Judge and date: ᵃ refusal 157bc8, 2025-11-22; ᵇ people's labels."
    )
