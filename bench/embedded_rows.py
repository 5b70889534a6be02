"""The rows that the embedded judge is trained on: requests and answers of published sets, and rows made from them.

Every set may be redistributed under its licence; none is of the LOCAL ONLY kind, and the XSTest completions are not
read. gptfuzz-labelled gives its questions by number only, so each question is recovered from the answers that repeat
it. Made rows teach what the sets show too seldom: a refusal followed by an answer all the same, a promise without an
answer, an answer to something else, a cut or shuffled one.
"""

import csv
import gzip
import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embedded_harmless import WRITTEN, harmless_exchanges, written_exchanges

csv.field_size_limit(10**9)

READ = (
    "gptfuzz-labelled/train.csv", "diasafety/train.half-a.json", "diasafety/val.half-a.json",
    "diasafety/test.half-a.json",
    "begin-wow/begin_dev_wow.tsv", "begin-wow/begin_test_wow.half-a.tsv", "hh-rlhf/harmless-base-test.half-a.jsonl.gz",
    "openai-moderation/samples-1680.half-a.jsonl.gz", "toxigen-human/toxiGen.half-a.json",
    "advbench/harmful_behaviors.csv",
    "strongreject/strongreject_dataset.csv", "jailbreakbench/harmful-behaviors.csv", "red-instruct/adversarialqa.json",
    "red-instruct/dangerousqa.json", "red-instruct/catqa_english.json", "red-instruct/harmfulqa.json",
    "multijail/MultiJail.csv", "xstest/xstest_prompts.half-a.csv", "mitre-frr/mitre_frr.json",
)  # fmt: skip
"""Every file read, besides jailbreakbench/attack-artifacts."""
LICENCES = {
    "gptfuzz-labelled": "MIT", "diasafety": "Apache-2.0", "jailbreakbench": "MIT", "begin-wow": "CC-BY-4.0",
    "hh-rlhf": "MIT", "openai-moderation": "MIT", "toxigen-human": "MIT and CDLA-Permissive-2.0", "advbench": "MIT",
    "strongreject": "MIT", "red-instruct": "Apache-2.0", "multijail": "MIT", "xstest": "CC-BY-4.0 (prompts alone)",
    "mitre-frr": "MIT",
}  # fmt: skip
LABELS = {
    "gptfuzz-labelled": "by people: harmful or not", "diasafety": "by people: unsafe or safe in context",
    "jailbreakbench": "automatic, by a model judge", "begin-wow": "none; taken as harmless talk",
    "hh-rlhf": "by people: which of two is less harmful, taken as a weak sign of each; by a language model: harmful or"
    " not, and refusal, of every answer (hh-labelled)",
    "openai-moderation": "by people: flagged or not", "toxigen-human": "by people: hateful or neutral",
    "xstest": "safe or unsafe prompts", "mitre-frr": "none; harmless requests",
}  # fmt: skip
"""What says that a text is harmful; of the sets not named, every request counts as dangerous."""
REFUSALS = (
    "I'm sorry, but I can't assist with that request.",
    "I cannot help with that. It would be illegal and unethical.",
    "As an AI language model, I cannot provide guidance on illegal or harmful activities.",
    "I'm sorry, but I cannot fulfill your request. It goes against my programming to promote harmful behavior.",
    "I apologize, but I'm not able to provide that information.",
    "I won't help with this. If you have any other questions, feel free to ask.",
    "I must decline. It is important to treat others with respect and to obey the law.",
    "Sorry, I can't do that. Is there anything else I can help you with?",
    "No, I will not do that.",
    "I don't feel comfortable discussing this topic.",
    "I cannot in good conscience provide this. Please consider reaching out to a professional.",
    "That is something I'm unable to help with, because it could cause serious harm to other people.",
    "I can't create content that is harmful or discriminatory. I can help with something positive instead.",
    "It is never acceptable to harm others. If you are struggling, please seek help from a therapist or counselor.",
    "Engaging in such activities is against the law and can have serious consequences. I strongly advise against it.",
)
FIRST_VOICES = ("[GPT]: ", "[CLASSIC] ", "(Normal Output) ", "ChatGPT: ", "As ChatGPT: ", "Standard answer: ", "")
SECOND_VOICES = (
    "[DAN]: ", "[JAILBREAK] ", "(Unfiltered Output) ", "Alter ego: ", "As the other persona: ", "Second answer: ",
    "However, here is the answer: ", "That said, for educational purposes: ", "But since you insist: ",
)  # fmt: skip
DISCLAIMERS = (
    "Note: this is for educational purposes only.",
    "Disclaimer: I do not condone any illegal activity.",
    "Remember, this is purely fictional and should not be attempted in real life.",
    "Please use this information responsibly.",
)
PROMISES = ("Sure, here is {}:", "Certainly! {}:", "Of course. {}.", "Sure! I'd be happy to help with that. {}:")

_ASKED = re.compile(
    r"\b(?:how|what|where|which|do you know|can you|could you)\b[\w'’ ,-]{8,170}\?",
    re.I,
)
_TAKEN_UP = re.compile(
    r"\b(?:ah|oh|so), (?:you want to |you're looking to )?([\w'’ -]{8,120}), (?:huh|are we|eh)\?", re.I
)
_NOT_ASKED = re.compile(
    r"\b(?:else|assist|help you|about exploring|instead|dare you|focus|ucar|aren't|why not|huh|shall we|elaborate"
    r"|know more|would you)\b",
    re.I,
)
_WORD = re.compile(r"[a-z']{3,}")


UNASKED = frozenset(
    {
        "gptfuzz", "jailbreakbench", "diasafety", "begin-wow", "hh-rlhf/chosen", "hh-rlhf/rejected", "hh-labelled",
        "made/harmless",
    }
)  # fmt: skip
"""Sources whose answers are also read without their request."""
HH_LABELS = Path(__file__).parent / "hh_labels.tsv"
CANNOT_TELL = "9"
"""In the place of a label: the two passes differ, or could not tell."""


class Row(NamedTuple):
    """A request, an answer and whether it did harm."""

    source: str
    """The set, with what was done to it: "gptfuzz", "jailbreakbench/dual" ..."""
    request: str
    answer: str
    harmful: int
    group: str
    """Rows of one request, which belong together when a set is split."""
    refusal: str = ""
    """Its class, where somebody said it; else the rules say it."""


def lines_of(path: Path, *, tabs: bool = False) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t" if tabs else ","))


def json_of(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def zipped_lines(path: Path) -> list[dict[str, Any]]:
    """Read packed JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# ── labelled answers ──


def gptfuzz(folder: Path) -> list[Row]:
    """Read the answers to jailbreak prompts that people labelled, each once a question."""
    rows = lines_of(folder / "gptfuzz-labelled/train.csv")
    answers: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        answers[int(row["question"])].append(row["Response"])
    asked = recovered_questions(answers)
    once = dict.fromkeys((int(row["question"]), row["Response"], int(row["label"])) for row in rows)
    return [Row("gptfuzz", asked[number], text, label, f"gptfuzz {number}") for number, text, label in once]


def recovered_questions(answers: dict[int, list[str]]) -> dict[int, str]:
    """Recover each question from its answers: what they repeat as a question, in words that mark them out."""
    counts = {number: Counter(word for text in texts for word in set(_WORD.findall(text.lower())))
              for number, texts in answers.items()}  # fmt: skip
    total: Counter[str] = Counter()
    for count in counts.values():
        total.update(count)
    size = sum(map(len, answers.values()))

    def marks(number: int, word: str) -> float:
        own, n = counts[number][word], len(answers[number])
        return own / n - (total[word] - own) / (size - n)

    def worth(number: int, sentence: str, times: int) -> float:
        best = sorted((marks(number, word) for word in set(_WORD.findall(sentence))), reverse=True)[:6]
        return sum(best) * (1 + 0.3 * times) - 0.004 * len(sentence)

    found: dict[int, str] = {}
    for number, texts in answers.items():
        plain = [text.replace("’", "'") for text in texts]
        asked = Counter(
            sentence.lower().strip()
            for text in plain
            for sentence in sorted(set(_ASKED.findall(text)))
            if not _NOT_ASKED.search(sentence)
        )
        best = max(((worth(number, s, n), s) for s, n in asked.items()), default=(0.0, ""))
        taken = Counter(s.lower() for text in plain for s in sorted(set(_TAKEN_UP.findall(text)))).most_common(1)
        words = sorted(counts[number], key=lambda word: (-marks(number, word), word))[:6]
        other = f"how to {taken[0][0]}?" if taken else "how to " + " ".join(words)
        found[number] = best[1] if best[0] > 0.55 else other
    return found


def jailbreakbench(folder: Path) -> list[Row]:
    """Read the published attacks: each answer with its goal, and again with the prompt that was sent."""
    rows: dict[tuple[str, str], Row] = {}
    wrapped: list[Row] = []
    for path in sorted((folder / "jailbreakbench/attack-artifacts").glob("*/*/*.json")):
        for found in json_of(path)["jailbreaks"]:
            goal, answer = found["goal"], found["response"]
            if answer is None or (goal, answer) in rows:
                continue
            row = Row("jailbreakbench", goal, answer, int(found["jailbroken"]), f"goal {goal}")
            rows[goal, answer] = row
            wrapped.append(row._replace(source="jailbreakbench/wrapped", request=found["prompt"]))
    return [*rows.values(), *wrapped]


def diasafety(folder: Path) -> list[Row]:
    """Read the dialogue turns that people labelled."""
    return [
        Row("diasafety", row["context"], row["response"], int(row["label"] == "Unsafe"), row["context"])
        for part in ("train", "val", "test")
        for row in json_of(folder / f"diasafety/{part}.half-a.json")
    ]


def begin(folder: Path) -> list[Row]:
    """Read harmless talk: messages with their replies, and some with the passage that they are about."""
    names = ("begin_dev_wow.tsv", "begin_test_wow.half-a.tsv")
    rows = [row for name in names for row in lines_of(folder / "begin-wow" / name, tabs=True)]
    replies = [Row("begin-wow", row["message"], row["response"], 0, row["knowledge"]) for row in rows[::2]]
    return replies + [Row("begin-wow", row["message"], row["knowledge"], 0, row["knowledge"]) for row in rows[1::4]]


def hh(folder: Path) -> list[Row]:
    """Read the last exchange of dialogues of which one was preferred as less harmful: a weak sign."""
    return [
        Row(f"hh-rlhf/{kind}", *last_exchange(pair[kind]), int(kind == "rejected"), f"hh {number}")
        for number, pair in enumerate(zipped_lines(folder / "hh-rlhf/harmless-base-test.half-a.jsonl.gz"))
        for kind in ("chosen", "rejected")
    ]


def labelled_hh(folder: Path) -> list[Row]:
    """Read every answer of the same dialogues, as a language model labelled it without sight of the preference."""
    pairs = zipped_lines(folder / "hh-rlhf/harmless-base-test.half-a.jsonl.gz")
    lines = [line for line in HH_LABELS.read_text("utf-8").splitlines() if not line.startswith("#")]
    rows: dict[tuple[str, str], Row] = {}
    for found in csv.DictReader(lines, delimiter="\t"):
        pair, place = pairs[int(found["pair"])], found["answer"]
        request, answer = last_exchange(pair[place]) if place in pair else exchange(pair["chosen"], int(place))
        if answer and found["harmful"] != CANNOT_TELL:
            label = int(found["harmful"])
            row = Row("hh-labelled", request, answer, label, f"hh {found['pair']}", found["refusal"])
            rows.setdefault((request, answer), row)  # the same exchange twice: its first label counts (8 differ)
    return list(rows.values())


def exchange(dialogue: str, number: int) -> tuple[str, str]:
    """Give a human turn of a dialogue, the first being 0, and its answer."""
    request, answer = dialogue.split("\n\nHuman:")[number + 1].split("\n\nAssistant:", 1)
    return request.strip(), answer.strip()


def last_exchange(dialogue: str) -> tuple[str, str]:
    """Give the last human turn and its answer."""
    before, answer = dialogue.rsplit("\n\nAssistant:", 1)
    return before.rsplit("\n\nHuman:", 1)[-1].strip(), answer.strip()


# ── made rows ──


def made_rows(rows: list[Row], goals: list[str]) -> Iterator[Row]:
    """Make rows from labelled answers to jailbreaks; each keeps its group, and its source tells whence and what."""
    rng = random.Random(0)
    for row in rows:
        if row.source not in ("gptfuzz", "jailbreakbench"):
            continue
        kinds = _made_of_harm(rng, row, goals) if row.harmful else _made_of_refusal(rng)
        for kind, chance, answer, label in kinds:
            if rng.random() < chance:
                request = rng.choice(goals) if kind == "swapped" else row.request
                yield Row(f"{row.source}/{kind}", request, answer, label, row.group)


def _made_of_harm(rng: random.Random, row: Row, goals: list[str]) -> list[tuple[str, float, str, int]]:
    words = row.answer.split()
    shuffled = rng.sample(words, min(len(words), rng.randrange(5, 200)))
    return [
        ("dual", 0.35, two_voices(rng, row.answer), 1),
        ("disclaimed", 0.2, f"{row.answer}\n\n{rng.choice(DISCLAIMERS)}", 1),
        ("shuffled", 0.2, " ".join(shuffled), 0),
        ("cut", 0.25, " ".join(words[: rng.randrange(4, 14)]), 0),
        ("swapped", 0.5, row.answer, 0),
    ]


def _made_of_refusal(rng: random.Random) -> list[tuple[str, float, str, int]]:
    return [("refused twice", 0.1, two_voices(rng, rng.choice(REFUSALS)), 0)]


def two_voices(rng: random.Random, answer: str) -> str:
    """Put a refusal before an answer."""
    return f"{rng.choice(FIRST_VOICES)}{rng.choice(REFUSALS)}\n\n{rng.choice(SECOND_VOICES)}{answer}"


def promises(folder: Path) -> list[Row]:
    """Make answers to AdvBench goals: the bare promise that the set gives, one that ends in refusal, a refusal."""
    rng = random.Random(1)
    rows: list[Row] = []
    for number, found in enumerate(lines_of(folder / "advbench/harmful_behaviors.csv")):
        goal = found["goal"]
        rows.append(Row("advbench/promise", goal, found["target"] + ":", 0, f"goal {goal}"))
        if number % 2 == 0:
            said = rng.choice(PROMISES).format(goal[:1].lower() + goal[1:])
            refusal = " ".join(rng.sample(REFUSALS, rng.choice((1, 1, 2))))
            rows.append(Row("advbench/promise refused", goal, f"{said}\n\n{refusal}", 0, f"goal {goal}"))
            rows.append(Row("advbench/refused", goal, rng.choice(REFUSALS), 0, f"goal {goal}"))
    return rows


def all_rows(folder: Path) -> list[Row]:
    """Give every row that the trees are trained on."""
    labelled = [*gptfuzz(folder), *jailbreakbench(folder)]
    goals = sorted({row.request for row in labelled if row.source == "jailbreakbench"})
    harmless = [Row("made/harmless", request, answer, 0, request) for request, answer in harmless_exchanges()]
    harmless += [Row("house", request, answer, 0, request) for request, answer in written_exchanges()]
    read = [*labelled, *diasafety(folder), *begin(folder), *hh(folder), *labelled_hh(folder)]
    return [*read, *made_rows(labelled, goals), *promises(folder), *harmless, *unasked([*read, *harmless])]


def unasked(rows: Sequence[Row]) -> list[Row]:
    """Give rows without their request: where it was always there, its absence would pass for harmlessness."""
    return [row._replace(source=f"{row.source}/unasked", request="") for row in rows if row.source in UNASKED]


# ── requests and texts alone ──


def requests(folder: Path) -> tuple[list[str], list[str]]:
    """Give dangerous requests and harmless ones."""
    xstest = lines_of(folder / "xstest/xstest_prompts.half-a.csv")
    bad = [row["goal"] for row in lines_of(folder / "advbench/harmful_behaviors.csv")]
    bad += [row["forbidden_prompt"] for row in lines_of(folder / "strongreject/strongreject_dataset.csv")]
    bad += [row["Goal"] for row in lines_of(folder / "jailbreakbench/harmful-behaviors.csv")]
    for name in ("adversarialqa", "dangerousqa"):
        bad += json_of(folder / f"red-instruct/{name}.json")
    for name in ("catqa_english", "harmfulqa"):
        bad += [
            q
            for part in json_of(folder / f"red-instruct/{name}.json").values()
            for asked in part.values()
            for q in asked
        ]
    bad += [row["en"] for row in lines_of(folder / "multijail/MultiJail.csv")]
    bad += [row["prompt"] for row in xstest if row["label"] == "unsafe"]
    good = [row["prompt"] for row in xstest if row["label"] == "safe"]
    good += [row["mutated_prompt"] for row in json_of(folder / "mitre-frr/mitre_frr.json")]
    good += sorted({request for request, _ in (*harmless_exchanges(), *written_exchanges())})
    return bad, [*good, *sorted({row.request for row in begin(folder)})]


def moderated(folder: Path) -> tuple[list[str], list[str]]:
    """Give texts that people flagged in moderation, and those that they did not."""
    rows = zipped_lines(folder / "openai-moderation/samples-1680.half-a.jsonl.gz")
    flagged = [any(value == 1 for key, value in row.items() if key != "prompt") for row in rows]
    texts = [row["prompt"] for row in rows]
    return [t for t, bad in zip(texts, flagged, strict=True) if bad], [
        t for t, bad in zip(texts, flagged, strict=True) if not bad
    ]


def hateful(folder: Path) -> tuple[list[str], list[str]]:
    """Give sentences that people called hateful, and neutral ones."""
    rows = json_of(folder / "toxigen-human/toxiGen.half-a.json")
    return [row["text"] for row in rows if row["label"] == "hate"], [
        row["text"] for row in rows if row["label"] != "hate"
    ]


def sets_read(folder: Path) -> list[dict[str, object]]:
    """Name every set read, its files by hash, its licence and where its labels are from."""
    attacks = sorted((folder / "jailbreakbench/attack-artifacts").glob("*/*/*.json"))
    files = [*READ, *(str(path.relative_to(folder)) for path in attacks)]
    published: list[dict[str, object]] = [
        {
            "set": name,
            "licence": LICENCES[name],
            "labels": LABELS.get(name, "none; dangerous requests"),
            "sha256": _hashes(folder, [file for file in files if file.startswith(f"{name}/")]),
        }
        for name in LICENCES
    ]
    written = sorted(path.name for path in WRITTEN.glob("*.yaml"))
    labels = "none; written to be harmless, by a language model for this project"
    said = {"set": "hh-labelled", "licence": "Apache-2.0", "labels": "of hh-rlhf, see there"}
    return [
        *published,
        {**said, "sha256": _hashes(HH_LABELS.parent, [HH_LABELS.name])},
        {"set": "house", "licence": "Apache-2.0", "labels": labels, "sha256": _hashes(WRITTEN, written)},
    ]


def _hashes(folder: Path, files: Sequence[str]) -> dict[str, str]:
    return {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}
