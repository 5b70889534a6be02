"""Numbers with their nouns, as people write them: 1 label, 2 labels, 12,000 conversations, 3 families."""

import math


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, which stands in the singular after one."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def dollars(amount: float) -> str:
    """Write dollars; below ten cents with the two digits that tell, since $0.00 would say that nothing was spent."""
    if not 0 < amount < 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.{1 - math.floor(math.log10(amount))}f}"


def kind_of(value: object) -> str:
    """Name what JSON calls a value, with its article: a text, a number, null."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    kinds = {"str": "a text", "int": "a number", "float": "a number", "list": "a list", "dict": "an object"}
    named = type(value).__name__
    return kinds.get(named, f"a {named}")


def plural(noun: str) -> str:
    """Give the plural of a noun whose plural is regular."""
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "o"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
