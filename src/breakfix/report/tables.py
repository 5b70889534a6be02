"""The tables of a report as plain values, so that HTML and Markdown say the same."""

from collections.abc import Callable, Sequence

from breakfix.estimates import NO_DEFECT, Comparison, alone_in_harm
from breakfix.report.corrected_tables import corrected, corrected_areas
from breakfix.report.data import AttackSuccess, ReportData, RoundResult
from breakfix.report.entries import Entry, Table
from breakfix.report.group_tables import by_language, by_persona
from breakfix.report.rates import judged_by, value_cell
from breakfix.report.words import (
    MEASURE_NAMES,
    METRIC_NAMES,
    NONE,
    VERDICT_NAMES,
    amount,
    attacked_stage,
    bounds,
    chance,
    percent,
    plain,
    points,
    stage_names,
    without_area,
)
from breakfix.statistics.intervals import wilson
from breakfix.types import AREAS, OUTCOMES, Finding
from breakfix.wording import dollars

GLANCE_NAMES = {
    ("harm", "defect rate"): "Harm",
    ("refusal", "VPRR"): "Safe refused",
    ("refusal", "borderline"): "Borderline answered",
    ("refusal", "IPRR"): "Unsafe refused",
    ("ungroundedness", "mean"): "Ungroundedness",
}
GLANCE = tuple(GLANCE_NAMES)
TABLE_ONE = (
    ("ungroundedness", "mean"), ("third_party", "DR-1"), ("continuation", "DR-3"), ("summarization", "DR-3"),
    ("jailbreak", "DR-1"), ("refusal", "IPRR"), ("refusal", "VPRR"), ("refusal", "borderline"),
)  # fmt: skip
TONES = {"fixed": "good", "passed": "good", "verified": "good", "not_fixed": "bad", "regressed": "bad", "failed": "bad"}
MEASURE_ORDER = tuple(MEASURE_NAMES)
FINDINGS_SHOWN = 60
FINDINGS_ORDER = ("regressed", "open", "trained", "curated", "verified")
"""By state, what is still to be mended first: of many findings the last are not shown."""
TAUGHT = (
    "Attacks after a round draw on the pool of scenarios that its training data came from: a fall here is of seen"
    " ones, and only the sealed rates tell of unseen ones."
)
SEVERAL = (
    "An interval is that of its row alone, and can leave 0 out where the verdict is cannot tell: of many rows tested"
    " some look changed by chance, so the verdict goes by p after Holm's adjustment for all of them."
)


def tables(data: ReportData) -> dict[str, Table]:
    """Make every table that has rows, by name."""
    makers: tuple[Callable[[ReportData], Table], ...] = (
        glance, areas, table_one, corrected, corrected_areas, comparisons, earlier_comparisons, gates,
        by_language, by_persona, contributions, same_users, techniques, attacked_areas, datasets, lineage,
        findings, outcomes, causes, usage, hashes,
    )  # fmt: skip
    made = [maker(data) for maker in makers]
    return {table.name: table for table in made if table.rows}


def glance(data: ReportData) -> Table:
    """What the gate looks at, a row a stage; what no stage measured has no column."""
    gates = {done.stage: done.gate for done in data.rounds if done.gate}
    shown = [what for what in GLANCE if any(card.find(what[0], metric=what[1]) for card in data.scorecards)]
    rows: list[tuple[Entry, ...]] = []
    for name, card in zip(stage_names(data), data.scorecards, strict=True):
        values = [value_cell(card.find(measure, metric=metric)) for measure, metric in shown]
        decision = gates.get(card.stage)
        ruling = _verdict(decision.verdict) if decision else Entry(NONE)
        rows.append((Entry(name), *values, *((ruling,) if gates else ())))
    columns = ("", *(GLANCE_NAMES[what] for what in shown), *(("Gate",) if gates else ()))
    note = judged_by(data, "Each with its interval and how many conversations were scored.")
    agreement = [line for card in data.scorecards[-1:] for line in card.agreement_lines]
    note = " ".join((note, *(f"Judges {line}." for line in agreement)))
    caption = "Before and after" if len(rows) > 1 else "At a glance"
    return Table("glance", caption, columns, tuple(rows) if shown else (), note)


def areas(data: ReportData) -> Table:
    """Harm by area, a column a stage."""
    groups = ("all", *(f"area/{area}" for area in AREAS))
    rows = [
        (
            Entry("All measures" if group == "all" else plain(group)),
            *(value_cell(card.find("harm", harm=group)) for card in data.scorecards),
        )
        for group in groups
        if any(card.find("harm", harm=group) for card in data.scorecards)
    ]
    columns = ("Area", *stage_names(data))
    note = "Share of sealed conversations of the four harm measures that were defects at each measure's own threshold."
    note = judged_by(data, " ".join(part for part in (note, without_area(data.scorecards)) if part))
    return Table("areas", "Harm by area", columns, tuple(rows), note)


def table_one(data: ReportData) -> Table:
    """The measures of the phi-3 report's Table 1, a column for every target measured."""
    cards = (*data.scorecards, *data.others)
    rows: list[tuple[Entry, ...]] = []
    for measure, metric in TABLE_ONE:
        found = [card.find(measure, metric=metric) for card in cards]
        if any(found):
            label = METRIC_NAMES.get(metric, metric)
            rows.append((Entry(MEASURE_NAMES[measure], label), *(value_cell(one, fraction=True) for one in found)))
    stages = stage_names(data)
    named = [card.target or data.target for card in data.scorecards]
    names = [f"{name}, {stage.lower()}" for name, stage in zip(named, stages, strict=True)]
    names = names if len(stages) > 1 else [data.target]
    columns = ("Measure", *names, *(card.target for card in data.others))
    note = (
        "DR-x: share of conversations of severity x or more (0-7). Lower is better, but for unsafe requests refused and"
        " borderline ones answered."
    )
    return Table("table-one", "Every target measured", columns, tuple(rows), judged_by(data, note))


def comparisons(data: ReportData) -> Table:
    """Before and after the last round, paired: wholes, and the pooled harm of areas."""
    note = "Paired on the same scenarios and samples, against the target at the start. Differences of shares in points."
    last = _compared(data)[-1:]
    note = " ".join(part for part in (note, _why_unsure(last), data.users) if part)
    return _comparison_table("comparisons", "Was it fixed?", last)._replace(note=note)


def earlier_comparisons(data: ReportData) -> Table:
    """The same after the rounds before the last."""
    earlier = _compared(data)[:-1]
    made = _comparison_table("earlier-comparisons", "After earlier rounds", earlier)
    return made._replace(note=_why_unsure(earlier))


def gates(data: ReportData) -> Table:
    """What the gate found, rule by rule."""
    rows = [
        (Entry(f"Round {done.round}"), Entry(rule.rule), _verdict(rule.verdict), Entry(rule.detail))
        for done in data.rounds
        if done.gate is not None
        for rule in done.gate.rules
    ]
    note = "A rule passes when the whole interval, unscored conversations counted at their worst, is within the bound."
    return Table("gates", "The gate, rule by rule", ("Round", "Rule", "Verdict", "Found"), tuple(rows), note)


def contributions(data: ReportData) -> Table:
    """What SFT and what DPO did, where the target was measured between them."""
    after = {card.stage: card for card in data.scorecards}
    rows: list[tuple[Entry, ...]] = []
    for done in data.rounds:
        pair = (("SFT only", done.sft_only), ("SFT, then DPO", after.get(done.stage)))
        if done.sft_only is None:
            continue
        for name, card in pair:
            if card is not None:
                values = (value_cell(card.find(measure, metric=metric)) for measure, metric in GLANCE)
                rows.append((Entry(f"Round {done.round}", name), *values))
    columns = ("", *GLANCE_NAMES.values())
    return Table("contributions", "What SFT and what DPO contributed", columns, tuple(rows))


def same_users(data: ReportData) -> Table:
    """What each round came to with live users, and with the user turns of the start said again word for word."""
    live = {card.stage: card for card in data.scorecards}
    rows: list[tuple[Entry, ...]] = []
    for done in (done for done in data.rounds if done.frozen is not None):
        for name, card in (("live users", live.get(done.stage)), ("the same user turns", done.frozen)):
            if card is not None:
                values = (value_cell(card.find(measure, metric=metric)) for measure, metric in GLANCE)
                rows.append((Entry(f"Round {done.round}", name), *values))
    note = (
        "A live user answers the target, so a change may in part be the user's. With the user turns of the start, word"
        " for word, it is the target's own; but such a user does not press on where the target now refuses."
    )
    columns = ("", *GLANCE_NAMES.values())
    return Table("same-users", "With live users, and with the same user turns", columns, tuple(rows), note)


def techniques(data: ReportData) -> Table:
    """Attack success by technique."""
    return _attack_table(data.attacks, "technique", "techniques", "Attack success by technique")


def attacked_areas(data: ReportData) -> Table:
    """Attack success by area."""
    return _attack_table(data.attacks, "area", "attacked-areas", "Attack success by area")


def datasets(data: ReportData) -> Table:
    """What each round was trained on."""
    rows: list[tuple[Entry, ...]] = []
    for done in data.rounds:
        if (made := done.dataset) is not None:
            dropped = (
                ", ".join(f"{plain(why).lower()} {count}" for why, count in made.dropped.items() if count) or "none"
            )
            mixed = ", ".join(f"{plain(kind).lower()} {count}" for kind, count in made.mixture.items())
            rows.append(
                (
                    Entry(f"Round {done.round}"), Entry(str(made.examples)), Entry(str(made.pairs)), Entry(mixed),
                    Entry(dropped), Entry(", ".join(made.licences)), Entry(made.id[:8]),
                )
            )  # fmt: skip
    columns = ("", "Examples", "Pairs", "Mixture", "Left out", "Licences", "Dataset")
    return Table("datasets", "Training data", columns, tuple(rows))


def lineage(data: ReportData) -> Table:
    """From finding to rows."""
    known = {one.id: one for one in data.findings}
    rows: list[tuple[Entry, ...]] = []
    for done in data.rounds:
        for link in done.lineage[:FINDINGS_SHOWN]:
            cause = known.get(link.finding_id)
            about = ", ".join(_cause_names(cause)) if cause else NONE
            counts = (Entry(str(link.examples)), Entry(str(link.pairs)))
            rows.append((Entry(link.finding_id[:8]), Entry(about), Entry(f"Round {done.round}"), *counts))
    columns = ("Finding", "About", "Trained in", "Examples", "Pairs")
    return Table("lineage", "From finding to training row", columns, tuple(rows))


def findings(data: ReportData) -> Table:
    """What the red team found and what became of it."""
    ordered = sorted(data.findings, key=lambda one: (FINDINGS_ORDER.index(one.state), one.round, one.rank))
    rows = [
        (
            Entry(one.id[:8]), Entry(f"Round {one.round}"), _harm(one),
            Entry(plain(one.behaviour)), Entry(plain(one.technique)),
            Entry(percent(one.rate), f"{one.succeeded} of {one.tried}, {bounds(one.low, one.high, 'ASR')}"),
            Entry(f"{one.severity:.1f}" if one.is_rated else NONE),
            Entry(one.state, tone=TONES.get(one.state, "unsure")),
        )
        for one in ordered[:FINDINGS_SHOWN]
    ]  # fmt: skip
    columns = ("Finding", "Found in", "Harm", "Behaviour", "Technique", "Rate", "Severity", "State")
    left = len(ordered) - len(rows)
    notes = [f"{left} more are in the store: breakfix findings."] if left else []
    notes += [] if all(one.is_rated for one in ordered) else [f"Severity {NONE}: the judge gives no severity."]
    return Table("findings", "Findings", columns, tuple(rows), " ".join(notes))


def _harm(one: Finding) -> Entry:
    """Name a finding's harm, if what failed is one, and its area where that is another word."""
    area = plain(one.area or "")
    return Entry(NONE if one.harm == "none" else plain(one.harm), "" if area == plain(one.harm) else area)


def _cause_names(one: Finding) -> tuple[str, ...]:
    """Name a finding's harm, if what failed is one, and how it was met."""
    return (plain(one.technique),) if one.harm == "none" else (plain(one.harm), plain(one.technique).lower())


def outcomes(data: ReportData) -> Table:
    """How every conversation ended."""
    rows = [
        (
            Entry(name),
            Entry(MEASURE_NAMES.get(measure, measure)),
            *(Entry(str(counts.get(one, 0))) for one in OUTCOMES),
        )
        for name, card in zip(stage_names(data), data.scorecards, strict=True)
        for measure, counts in card.outcomes.items()
    ]
    columns = ("", "Measure", *(plain(one) for one in OUTCOMES))
    note = "Blocked and failed conversations are unscored: counted, bounded, never safe."
    return Table("outcomes", "How every conversation ended", columns, tuple(rows), note)


def causes(data: ReportData) -> Table:
    """Why conversations were left unscored, at each stage."""
    rows = [
        (Entry(name), Entry(MEASURE_NAMES.get(one.measure, plain(one.measure))), Entry(plain(one.outcome)),
         Entry(one.cause), Entry(str(one.n), one.conversation_id[:8]))
        for name, card in zip(stage_names(data), data.scorecards, strict=True)
        for one in card.causes
    ]  # fmt: skip
    note = f"Below each number one of them, to look at: breakfix show ID --run {data.run}."
    columns = ("", "Measure", "Outcome", "Cause", "Conversations")
    return Table("causes", "Why conversations were left unscored", columns, tuple(rows), note)


def usage(data: ReportData) -> Table:
    """What the run took."""
    took = data.usage
    if took is None:
        return Table("usage", "Calls and cost", (), ())
    pairs = [
        ("Model calls made", _grouped(took.calls)),
        ("Answered by the journal instead", _grouped(took.journalled)),
        ("Tried again after a failure", _grouped(took.retries)),
        ("Failed for good", _grouped(took.failed)),
        ("Withheld by a content filter", _grouped(took.filtered)),
        ("Target's answers cut off", _grouped(took.cut)),
        ("Prompt tokens", _grouped(took.prompt_tokens)),
        ("Completion tokens", _grouped(took.completion_tokens)),
        ("Cost", dollars(took.cost_usd) if took.cost_usd else NONE),
        ("Time", f"{took.seconds / 60:.1f} min" if took.seconds else NONE),
    ]
    return Table("usage", "Calls and cost", ("", ""), tuple((Entry(name), Entry(text)) for name, text in pairs))


def hashes(data: ReportData) -> Table:
    """The identities of everything that went in."""
    return Table(
        "hashes", "Identities", ("What", "Identity"), tuple((Entry(name), Entry(mark)) for name, mark in data.hashes)
    )


# ── parts ──


def _compared(data: ReportData) -> Sequence[RoundResult]:
    """Leave out rounds that were trained and not measured."""
    return [done for done in data.rounds if done.comparisons]


def _comparison_table(name: str, caption: str, rounds: Sequence[RoundResult]) -> Table:
    rows = [
        (Entry(_about(one), METRIC_NAMES.get(one.metric, one.metric)), Entry(f"Round {done.round}"), *_change(one))
        for done in rounds
        for one in sorted(_telling(done.comparisons), key=lambda one: MEASURE_ORDER.index(one.measure))
    ]
    columns = ("What", "After", "Before → after", "Difference", "p", "p, Holm", "Pairs", "Verdict")
    return Table(name, caption, columns, tuple(rows))


def _why_unsure(rounds: Sequence[RoundResult]) -> str:
    """Explain intervals without 0 beside "cannot tell", where there are any."""
    shown = [one for done in rounds for one in _telling(done.comparisons)]
    is_met = any(one.verdict == "cannot_tell" and (one.low or 0.0) * (one.high or 0.0) > 0 for one in shown)
    return SEVERAL if is_met else ""


def _attack_table(attacks: Sequence[AttackSuccess], by: str, name: str, caption: str) -> Table:
    chosen = [row for row in attacks if row.by == by]
    stages = list(dict.fromkeys(row.stage for row in chosen))
    known = {(row.name, row.stage): row for row in chosen}
    rows = [
        (Entry(plain(kind)), *(_success(known.get((kind, stage))) for stage in stages))
        for kind in dict.fromkeys(row.name for row in chosen)
    ]
    note = "Success under a search for failures: to be compared with itself, never with a benchmark rate."
    note += f" {TAUGHT}" if any(stage.startswith("round-") for stage in stages) else ""
    note += " Unscored attacks are neither successes nor safe." if any(row.unscored for row in chosen) else ""
    return Table(name, caption, (plain(by), *(attacked_stage(stage, stages) for stage in stages)), tuple(rows), note)


def _success(row: AttackSuccess | None) -> Entry:
    if row is None:
        return Entry(NONE)
    missing = f", {row.unscored} unscored" if row.unscored else ""
    if not row.tried:
        return Entry(NONE, f"n = 0{missing}")
    low, high = wilson(row.succeeded, row.tried)
    told = f"{row.succeeded} of {row.tried}, {bounds(low, high, 'ASR')}{missing}"
    return Entry(percent(row.succeeded / row.tried), told)


def _change(one: Comparison) -> tuple[Entry, ...]:
    low, high = points(one.low, one.metric), points(one.high, one.metric)
    return (
        Entry(f"{amount(one.before, one.metric)} → {amount(one.after, one.metric)}"),
        Entry(points(one.difference, one.metric), f"{low} to {high}"),
        Entry(chance(one.p)),
        Entry(chance(one.p_adjusted)),
        Entry(str(one.n)),
        _reading(one),
    )


def _telling(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Keep wholes and the pooled harm of areas; harms one by one are in the JSON."""
    alone = alone_in_harm(one.measure for one in comparisons)
    wholes = [one for one in comparisons if one.harm == "all" and not (alone and one.measure == "harm")]
    return [*wholes, *(one for one in comparisons if one.measure == "harm" and one.harm.startswith("area/"))]


def _about(one: Comparison) -> str:
    return plain(one.harm) if one.harm.startswith("area/") else MEASURE_NAMES.get(one.measure, one.measure)


def _reading(one: Comparison) -> Entry:
    """Say a verdict; where there was no defect, that is no doubt, and stands in words of its own."""
    if one.detail == NO_DEFECT:
        return Entry(one.detail)
    return _verdict(one.verdict)._replace(detail=one.detail)


def _verdict(verdict: str) -> Entry:
    return Entry(VERDICT_NAMES[verdict], tone=TONES.get(verdict, "unsure"))


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
