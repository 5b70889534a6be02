"""Read scenarios from published sets and from the user's own files.

A set is named by a path; by its name, under the folder that the environment variable BREAKFIX_DATA names, or else from
the hub; or as hub:<organisation>/<name>. Every scenario carries its source and licence, and says the published words. A
broken row is an error that names it by number; every other row is counted: as scenarios, or as left out, and why.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from breakfix.errors import DataError, nearest, nearest_of_few
from breakfix.identity import digest
from breakfix.languages import code_of
from breakfix.prohibited import PROHIBITED, REFUSAL_ONLY, UNWRITTEN, file_prohibited
from breakfix.scenarios.answerers import TRUTH
from breakfix.scenarios.families import join_families, spread
from breakfix.scenarios.forms import FORMS, Asked, LeftOut
from breakfix.scenarios.library import LEAK
from breakfix.scenarios.rows import Place, Row
from breakfix.scenarios.sets import load_sets
from breakfix.scenarios.sources import Source, notes_on, notes_on_absent, open_sources
from breakfix.settings import MeasureSettings
from breakfix.types import MEASURES, Measure, Scenario
from breakfix.wording import counted

ANSWER_FIELDS = ("completion", "response", "answer")
"""What a file of recorded answers holds beside the prompt; a replay reads it, a scenario does not."""
REPEATED = "says the same as an earlier row"
CONTRADICTED = "says the same as an earlier row, and is labelled otherwise"


class Reading(NamedTuple):
    """What a name held for one measure; every row of it is either in a scenario or left out."""

    scenarios: tuple[Scenario, ...]
    rows: int
    left_out: Counter[str]
    """Reason -> rows (of MultiJail: rows in one language)."""
    notes: tuple[str, ...]
    """What the user should know of the files, a line each."""


def draw_published(
    names: Sequence[str], settings: MeasureSettings, *, harms: Collection[str], seed: int = 0
) -> tuple[list[Scenario], list[str]]:
    """Draw `settings.conversations` scenarios a measure out of all sets, spread evenly; and what to note, said once.

    Prompts that several sets share are one family. Raises DataError, also where the sets hold nothing for any measure.
    """
    chosen: list[Scenario] = []
    notes: dict[str, None] = {}
    left_out: dict[Measure, dict[str, None]] = {}
    short: dict[Measure, int] = {}
    for measure in settings.measures:
        readings = [read_set(name, measure, harms=harms) for name in names]
        notes |= dict.fromkeys(note for one in readings for note in one.notes)
        found = {scenario.id: scenario for one in readings for scenario in one.scenarios}
        wanted = [one for one in found.values() if _is_chosen(one, settings)]
        if not wanted:
            left_out[measure] = dict.fromkeys(reason for one in readings for reason in one.left_out)
        chosen += spread(join_families(wanted, known=load_sets()), settings.conversations, seed=seed)
        if len(wanted) > settings.conversations:
            short[measure] = len(wanted)
    if left_out and (not chosen or set(settings.measures) != set(MEASURES)):
        raise DataError(_without_source(left_out, names, settings))
    unmeasured = [f"Not measured, for want of scenarios in {', '.join(names)}: {', '.join(left_out)}."]
    return chosen, [*notes, *(unmeasured if left_out else ()), *_note_on_size(short, settings.conversations)]


def _without_source(left_out: Mapping[Measure, Mapping[str, None]], names: Sequence[str], to: MeasureSettings) -> str:
    """Say which measures the sets hold nothing for, and why: one that was named is never left out in silence."""
    of = f" about {', '.join(to.harms)}" if to.harms else ""
    of += f" in {', '.join(to.languages)}" if to.languages else ""
    reasons = list(dict.fromkeys(reason for reasons in left_out.values() for reason in reasons))
    why = f" ({'; '.join(reasons)})" if reasons else ""
    rest = ",".join(one for one in to.measures if one not in left_out)
    end = f"Name other --scenarios, or only the measures that these serve: --measures {rest}" if rest else ""
    return f"No scenario of {', '.join(left_out)}{of} in {', '.join(names)}{why}. {end or 'Name other --scenarios.'}"


def _note_on_size(short: Mapping[Measure, int], n: int) -> Iterator[str]:
    """Say how many scenarios were drawn where there are more: nobody should take a part for the whole."""
    if short:
        drawn = ", ".join(f"{n:,} of {there:,} ({measure})" for measure, there in short.items())
        yield f"Scenarios drawn: {drawn}. All of them: -n {max(short.values())} (measure.conversations)."


def _is_chosen(scenario: Scenario, settings: MeasureSettings) -> bool:
    is_of_harm = not settings.harms or scenario.harm in settings.harms
    return is_of_harm and (not settings.languages or scenario.language in settings.languages)


def read_set(name: str, measure: Measure, *, harms: Collection[str] | None = None) -> Reading:
    """Read what a name holds for one measure, with an account of every row. Raises DataError naming file and row.

    With `harms`, a row that names any other harm is refused.
    """
    found: dict[str, Scenario] = {}
    left_out: Counter[str] = Counter()
    notes: dict[str, None] = {}
    rows = 0
    for source in open_sources(name):
        rows += len(source.rows)
        unknown: set[str] = set()
        for place, taken in _taken_from(source, measure, unknown):
            if isinstance(taken, LeftOut):
                left_out[taken.reason] += 1
                continue
            _check_harm(taken, harms, place)
            if taken.id in found:
                left_out[_repeat(found[taken.id], taken, place)] += 1
            found.setdefault(taken.id, taken)
        notes |= dict.fromkeys((*notes_on(source, unknown), *_notes_on_own(source, measure, left_out)))
    notes |= dict.fromkeys(notes_on_absent(name))
    return Reading(tuple(found.values()), rows, left_out, tuple(notes))


def _notes_on_own(source: Source, measure: Measure, left_out: Counter[str]) -> Iterator[str]:
    """Say of the user's own rows what was taken for granted, and what nobody may say."""
    if source.known is not None:
        return
    if measure == "refusal":
        silent = [row for _, row in source.rows if not row.get("kind") and row.get("measure") in (None, "", measure)]
        if silent:
            yield (
                f"{source.path}: {counted(len(silent), 'row')} without 'kind' in measure refusal, taken for harmful"
                " requests, which ought to be refused (IPRR). Give those that are not kind 'benign' or"
                " 'borderline' (VPRR)."
            )
    if left_out[UNWRITTEN]:
        yield f"{source.path}: left out: {counted(left_out[UNWRITTEN], 'row')} {UNWRITTEN}."


# ── scenarios ──


def _taken_from(source: Source, measure: Measure, unknown: set[str]) -> Iterator[tuple[Place, Scenario | LeftOut]]:
    known = source.known
    if known is None:
        yield from _own_scenarios(source.rows, measure)
        return
    if measure not in known.measures:
        for place, _ in source.rows:
            yield place, LeftOut(f"the set holds nothing for {measure}")
        return
    form, asked = FORMS[known.form], Asked(known, measure, source.path, unknown)
    for place, row in source.rows:
        for fields in _unbroken(form(row, asked), place):
            if isinstance(fields, LeftOut):
                yield place, fields
                continue
            facts = {"measure": measure, "licence": known.licence, "source": known.name}
            if TRUTH in row:
                facts["truth"] = row[TRUTH]
            yield place, _checked({**facts, **fields}, place)


def _unbroken(taken: Iterator[Row | LeftOut], place: Place) -> Iterator[Row | LeftOut]:
    """Name the row where a column is missing, of another kind, or empty."""
    try:
        for fields in taken:
            if not isinstance(fields, LeftOut) and not str(fields["opening"] or "").strip():
                raise DataError(f"{place} has an empty prompt. Correct or remove that row.")
            yield fields
    except KeyError as error:
        raise DataError(f"{place}: {error.args[0]!r} is missing. Correct that row.") from None
    except (TypeError, AttributeError):
        raise DataError(f"{place} is not of its set's form. Correct that row.") from None


def _own_scenarios(rows: Sequence[tuple[Place, Row]], measure: Measure) -> Iterator[tuple[Place, Scenario | LeftOut]]:
    """Read rows of the user's own: fields of a Scenario, `prompt` for `opening`, or `messages` for opening and script.

    A row that names no measure serves each that is asked for (ungroundedness only if it brings a grounding text).
    """
    for place, row in rows:
        fields = {key: value for key, value in row.items() if key not in ANSWER_FIELDS and value not in ("", None)}
        if "prompt" in fields:
            fields["opening"] = fields.pop("prompt")
        if isinstance(fields.get("language"), str):
            fields["language"] = code_of(fields["language"])
        if "messages" in fields:
            fields |= _spoken(fields.pop("messages"), place)
        if measure == "ungroundedness" and not {"measure", "grounding"} & set(fields):
            yield place, LeftOut("it brings no text to be grounded in")
            continue
        named = fields.setdefault("measure", measure)
        if named not in MEASURES:
            raise DataError(f"{place}: unknown measure {named!r}. Known: {', '.join(MEASURES)}.")
        if not fields.get("opening") and not fields.get("objective"):
            raise DataError(f"{place} has neither 'prompt' (or 'opening') nor 'objective'. Add one.")
        if fields.get("script") and not fields.get("opening"):
            raise DataError(f"{place} has a 'script' without an 'opening' before it. Add the first user turn.")
        if named != measure:
            yield place, LeftOut(f"it is for {named}")
            continue
        if fields.get("harm") == LEAK and fields.get("kind", "harmful") == "harmful" and "system_prompt" not in fields:
            raise DataError(f"{place}: a {LEAK!r} needs a 'system_prompt' that holds what may leak. Add one.")
        own = _checked({"source": place.path.name, "licence": "unstated", **fields}, place)
        if isinstance(own, Scenario) and own.harm in PROHIBITED and measure != "refusal":
            own = LeftOut(REFUSAL_ONLY)
        yield place, own


def _spoken(messages: Any, place: Place) -> Row:
    try:
        said = [turn["content"] for turn in messages if turn["role"] == "user"]
    except (TypeError, KeyError):
        raise DataError(f"{place}: a message needs 'role' and 'content'. Correct that row.") from None
    if not said:
        raise DataError(f"{place} has no user turn. Correct that row.")
    return {"opening": said[0], "script": tuple(said[1:])}


def _checked(fields: Row, place: Place) -> Scenario | LeftOut:
    """Fill in what follows from the rest (objective, family, id) and check the whole. Raises DataError."""
    fields.setdefault("harm", "none")
    fields.setdefault("objective", fields.get("opening"))
    if not isinstance(fields["harm"], str) or not isinstance(fields.get("script") or (), list | tuple):
        raise DataError(f"{place}: 'harm' must be a text, and 'script' a list of texts. Correct that row.")
    is_unwritten = file_prohibited(fields)
    script = tuple(cast("Sequence[str]", fields.get("script") or ()))
    said = digest(fields.get("opening"), fields["objective"], fields.get("grounding"), *script)[:10]
    fields.setdefault("family", f"{fields['source']}/{said}")
    key = digest(said, fields.get("language"))[:10]
    fields.setdefault("id", f"{fields['measure']}/{fields['family']}/{key}")
    try:
        checked = Scenario.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ("prompt", "messages", *Scenario.model_fields, *ANSWER_FIELDS)
            hint = nearest_of_few(field, known)
            raise DataError(f"{place}: unknown column {field!r}. Leave it out or rename it. {hint}") from None
        raise DataError(f"{place}: {field!r}: {first['msg']}. Correct that row.") from None
    return LeftOut(UNWRITTEN) if is_unwritten else checked


def _check_harm(scenario: Scenario, harms: Collection[str] | None, place: Place) -> None:
    if harms is not None and scenario.harm not in (*harms, "none"):
        raise DataError(f"{place}: unknown harm {scenario.harm!r}. {nearest(scenario.harm, harms)}")


def _repeat(known: Scenario, again: Scenario, place: Place) -> str:
    if (known.opening, known.script, known.objective) != (again.opening, again.script, again.objective):
        raise DataError(f"{place}: the id {again.id!r} is there twice. Give it another.")
    return REPEATED if known.kind == again.kind else CONTRADICTED
