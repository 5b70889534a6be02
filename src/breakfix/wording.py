"""Numbers with their nouns, as people write them: 1 label, 2 labels, 12,000 conversations, 3 families."""


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, which stands in the singular after one."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Give the plural of a noun whose plural is regular."""
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "o"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
