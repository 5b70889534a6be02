"""A judge card in words: the line beside every table, and a page of Markdown."""

from collections.abc import Iterator, Sequence

from breakfix.judging.cards import ALL, QUESTIONS, Agreement, ExamResult, JudgeCard, Share
from breakfix.wording import counted

WARNING = (
    "Rates pooled over sets leave out the sets that the judge was made on. Agreement on another set than yours says"
    " little of yours: label a sample of your own (breakfix label RUN --sample N)."
)
PLAIN_ONLY = "labelled in plain cases only, which are easier to tell"
EXAM_WARNING = (
    "The exam's answers hold placeholders where substance would be. It shows whether a change leads the judge astray,"
    " not how well it tells harm from harmlessness."
)


def in_words(card: JudgeCard, pooled: Agreement) -> str:
    """Write a pooled agreement in one line: 'harmful or not 83 % [80, 86] on 1,234 rows (gptfuzz, pku)'."""
    alike = [one for one in card.agreements if (one.question, one.group) == (pooled.question, ALL)]
    plain = {one.name for one in card.sets if pooled.question in one.plain_only}
    names = [one.set_name for one in alike if one.set_name != ALL and one.is_seen == pooled.is_seen]
    sets = [f"{name}: plain cases only" if name in plain else name for name in names]
    made = "; seen in its making" if pooled.is_seen else ""
    return (
        f"{QUESTIONS[pooled.question]} {percent(pooled.agree)} on {counted(pooled.n, 'row')} ({', '.join(sets)}{made})"
    )


def percent(share: Share) -> str:
    """Write a share in per cent with its interval; a dash where it is not defined."""
    if share.value is None:
        return "–"
    if share.low is None or share.high is None:
        return f"{share.value:.0%}".replace("%", " %")
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def coefficient(share: Share | None) -> str:
    """Write a coefficient with its interval; a dash where it is not defined."""
    if share is None or share.value is None:
        return "–"
    low, high = (None if end is None else round(end, 2) + 0.0 for end in (share.low, share.high))  # + 0.0: no "-0.00"
    bounds = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
    return f"{round(share.value, 2) + 0.0:.2f}{bounds}"


def agreement_rows(card: JudgeCard) -> list[tuple[str, ...]]:
    """Give the table of agreements: question, set, kind, n, and what was found."""
    return [
        (QUESTIONS[one.question], _set_words(one), "" if one.group == ALL else one.group, _count(one),
         percent(one.agree), percent(one.sensitivity), percent(one.specificity), percent(one.balanced),
         _kappas(one), coefficient(one.alpha), coefficient(one.alpha_people))
        for one in card.agreements
    ]  # fmt: skip


AGREEMENT_HEAD = (
    "question", "set", "kind", "n", "agree", "sensitivity", "specificity", "balanced", "kappa", "alpha", "people alone",
)  # fmt: skip


def exam_rows(exam: ExamResult) -> list[tuple[str, ...]]:
    """Give the table of the exam: kind, cases, and how many were flipped."""
    return [
        (one.kind, str(one.cases), str(one.n), str(one.flips),
         percent(Share(value=one.rate, low=one.low, high=one.high, n=one.n, method="")),
         str(one.plain_wrong or ""), str(one.unscored or ""))
        for one in exam.kinds
    ]  # fmt: skip


EXAM_HEAD = ("kind", "cases", "n", "flipped", "flip rate", "plain form misjudged", "unscored")


def exam_warnings(exam: ExamResult) -> list[str]:
    """Say what the exam does not show, the gravest first."""
    if not exam.always:
        return [EXAM_WARNING]
    constant = (
        f"To this judge every answer of the exam was {' and '.join(exam.always)}. A judge that never changes its mind"
        " cannot be flipped: low flip rates say nothing good of it."
    )
    return [constant, EXAM_WARNING]


def card_page(card: JudgeCard) -> str:
    """Write a card as Markdown."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: JudgeCard) -> Iterator[str]:
    yield f"# Judge card: {card.judge}"
    yield ""
    yield f"Identity `{card.judge_id}`, made on {card.date} by breakfix {card.version}."
    yield ""
    if card.parts:
        yield "What the identity is made of; if any of it changes, this is another judge:"
        yield ""
        yield from (f"- {name}: {part}" for name, part in card.parts.items())
        yield ""
    if card.agreements:
        yield "## Agreement with people"
        yield ""
        sets = (
            f"{one.name} ({counted(one.rows, 'row')}{', seen in its making' if one.is_seen else ''})"
            for one in card.sets
        )
        yield f"Sets: {', '.join(sets)}. {WARNING}"
        yield ""
        for one in card.sets:
            yield from (f"In {one.name}, {question} is {PLAIN_ONLY}.\n" for question in one.plain_only)
        yield from _table(AGREEMENT_HEAD, agreement_rows(card))
        yield ""
    if card.exam:
        yield f"## Exam of {card.exam.date} (`{card.exam.exam_id[:8]}`)"
        yield ""
        for warning in exam_warnings(card.exam):
            yield warning
            yield ""
        yield from _table(EXAM_HEAD, exam_rows(card.exam))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def _set_words(one: Agreement) -> str:
    name = "all together" if one.set_name == ALL else one.set_name
    return f"{name} (seen)" if one.is_seen else name


def _kappas(one: Agreement) -> str:
    if one.kappa_of_grades is None:
        return coefficient(one.kappa)
    return f"{coefficient(one.kappa)}; of grades {coefficient(one.kappa_of_grades)}"


def _count(one: Agreement) -> str:
    return f"{one.n} ({one.unscored} unscored)" if one.unscored else str(one.n)
