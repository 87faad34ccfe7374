"""The family files: how patterns are written, and that what is written is used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import re2

from signal_samples import turns
from unquiet import signals
from unquiet.demo.phrasebook import phrasebook
from unquiet.model.signals import TurnBatch
from unquiet.signals import refusal
from unquiet.signals.lexicon import expand, family_files, lexicon, shape


def test_a_blank_matches_any_white_space_and_an_apostrophe_both_forms() -> None:
    pattern = expand("can't wait", {})
    assert all(re2.search(pattern, text) for text in ("can't wait", "can’t\nwait", "can't  wait"))
    assert re2.search(pattern, "cant wait") is None
    assert re2.search(expand("so ?so", {}), "soso") is not None


def test_word_lists_may_name_word_lists() -> None:
    words = {"pet": "cat|<dog>", "dog": "hound|poodle"}
    assert re2.search(expand("a <pet>", words), "a poodle")


def test_an_unknown_word_list_is_named() -> None:
    with pytest.raises(ValueError, match="no word list <bird>"):
        expand("a <bird>", {"pet": "cat"})


def test_a_letter_beyond_ascii_matches_both_cases() -> None:
    assert all(re2.search(expand("^änder", {}), text) for text in ("ändern", "Ändern"))
    assert re2.search(expand("größe", {}), "größe")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"a[^.!?\n]*b", "sentence"),
        (r"a(?:[^.,;:!?\n]|[.,:]\d)*b", "sentence"),
        (r"a (?:\w+ ){0,3}b", "words"),
        ("a (?:b|c) d", "nothing"),
    ],
)
def test_shapes(pattern: str, expected: str) -> None:
    assert shape(expand(pattern, {})) == expected


@pytest.mark.parametrize("content", [*family_files(), *family_files("user")], ids=lambda content: content["language"])
def test_files_hold_what_they_must(content: dict[str, object]) -> None:
    assert re.fullmatch(r"[a-z]{2}", str(content["language"]))
    assert isinstance(content["version"], int)
    written = [pattern for patterns in content["families"].values() for pattern in patterns]  # type: ignore[attr-defined]
    assert len(written) == len(set(written))
    lists = list(content.get("words", {}).values())  # type: ignore[attr-defined]
    harmless = [pattern for patterns in content.get("harmless", {}).values() for pattern in patterns]  # type: ignore[attr-defined]
    for pattern in written + lists + harmless:
        inside = "".join(re.findall(r"\[[^\]]*\]", re.sub(r"\\.", "", pattern)))
        assert "'" not in inside, f"an apostrophe in brackets: {pattern}"
        expanded = {each[0] for each in content.get("variants", "").split()}  # type: ignore[attr-defined]
        assert not [sign for sign in inside if not sign.isascii() and (sign != sign.upper() or sign in expanded)], (
            f"a letter in brackets: {pattern}"
        )
    bare = [re.sub(r"\\[WSLNp]|\{[LN]\}", "", pattern) for pattern in written]
    assert bare == [pattern.lower() for pattern in bare]


def test_every_weighed_family_exists() -> None:
    assert {*refusal.ANYWHERE, *refusal.OPENING} <= set(lexicon().names)


def test_a_chinese_answer_is_long_at_a_third_of_the_characters() -> None:
    denial, more = "很抱歉，这张机票不能退款。", "以下是您的行程安排，祝您旅途愉快。"
    scores = [
        signals.measure_turns(TurnBatch(turns([{"output": denial + more * times}])))[0]["refusal"][0]
        for times in (1, 8, 30)
    ]
    assert scores[0] > scores[1] > scores[2]


def test_weights_have_the_sign_of_their_family() -> None:
    for weights in (refusal.ANYWHERE, refusal.OPENING):
        for family, weight in weights.items():
            assert (weight < 0) == (family in {"help_follows", "offers_alternative"}), family


SAMPLES = Path(__file__).parent / "wording_samples"
LANGUAGES = sorted(path.stem for path in SAMPLES.glob("??.toml"))
RECALL, FALSE_ALARMS = 0.85, 0.05
BLIND_RECALL, BLIND_FALSE_ALARMS = 0.80, 0.05
DEVELOPED = {
    "de": (1.000, 0.00),
    "es": (0.983, 0.00),
    "fr": (0.967, 0.00),
    "ja": (0.967, 0.00),
    "pt": (1.000, 0.00),
    "zh": (1.000, 0.01),
}
"""Recall and false alarms now on the first sentences of an author who never saw the patterns (`<language>_blind.toml`), from
which the patterns were then improved: a development set."""
BLIND = {
    "de": (0.98, 0.03),
    "es": (0.98, 0.02),
    "fr": (0.94, 0.04),
    "ja": (0.92, 0.02),
    "pt": (0.98, 0.01),
    "zh": (0.92, 0.01),
}
"""The same on sentences of another author, written before those improvements and never read for them (`<language>_blind2.toml`).
The ordinary sentences of both sets are near misses on purpose."""
NO_FLAGS = ("policy_denial", "capability_denial", "abstention", "safety_lecture", "deflection", "handoff")


def says_no(answers: list[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """Which of the answers are refusals, and which are refusals or send the user elsewhere."""
    readings, _, failures = signals.measure_turns(TurnBatch(turns([{"output": answer} for answer in answers])))
    assert failures == {}
    refused = readings["refusal"] >= 0.5
    return {"refused": refused, "or sent away": refused | (readings["deflection"] == 1)}


def test_every_language_has_the_families_of_english() -> None:
    english, *others = family_files()
    assert english["language"] == "en"
    assert [content["language"] for content in others] == LANGUAGES
    for content in others:
        assert list(content["families"]) == list(english["families"]), content["language"]


def test_requests_are_read_in_the_same_languages() -> None:
    english, *others = family_files("user")
    assert [content["language"] for content in others] == LANGUAGES
    assert all(list(content["families"]) == list(english["families"]) for content in others)


@pytest.mark.parametrize("language", LANGUAGES)
def test_samples_are_told_apart(language: str) -> None:
    samples = tomllib.loads((SAMPLES / f"{language}.toml").read_text(encoding="utf-8"))
    assert min(len(samples["denials"]), len(samples["ordinary"])) >= 25
    denied, ordinary = says_no(samples["denials"]), says_no(samples["ordinary"])
    assert denied["refused"].mean() >= RECALL
    assert denied["or sent away"].mean() >= 0.95
    assert ordinary["or sent away"].mean() <= FALSE_ALARMS


def says_no_somehow(answers: list[str]) -> npt.NDArray[np.bool_]:
    """Which of the answers are refusals by their score, or hit a family that says no."""
    readings, _, failures = signals.measure_turns(TurnBatch(turns([{"output": answer} for answer in answers])))
    assert failures == {}
    return np.any([readings["refusal"] >= 0.5, *(readings[name] == 1 for name in NO_FLAGS)], axis=0)


def told_apart(language: str, which: str) -> tuple[float, float]:
    """Recall on the answers of a set that say no, and the share flagged of its ordinary ones."""
    samples = tomllib.loads((SAMPLES / f"{language}_{which}.toml").read_text(encoding="utf-8"))
    denied, ordinary = says_no_somehow(samples["denials"]), says_no_somehow(samples["ordinary"])
    return float(denied.mean()), float(ordinary.mean())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_blind_samples_are_told_apart_no_worse_than_stated(language: str) -> None:
    recall, flagged = told_apart(language, "blind")
    least, most = DEVELOPED[language]
    assert recall >= least - 0.005
    assert flagged <= most + 0.005


@pytest.mark.parametrize("language", LANGUAGES)
def test_blind_samples_are_told_apart(language: str) -> None:
    """Patterns must not be written from `*_blind2.toml`: a language is improved from other texts, then scored."""
    recall, flagged = told_apart(language, "blind2")
    least, most = BLIND[language]
    assert recall >= least - 0.005
    assert flagged <= most + 0.005
    assert recall >= BLIND_RECALL
    assert flagged <= BLIND_FALSE_ALARMS


def test_figures_of_the_samples_are_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "explanation" / "what-it-cannot-see.md").read_text(encoding="utf-8")
    for language in LANGUAGES:
        developed, blind = DEVELOPED[language], BLIND[language]
        cells = " | ".join(f"{figure:.2f}" for figure in (*developed, *blind))
        assert re.search(rf"\| {language} \| 0\.\d\d \| 0\.\d\d \| {re.escape(cells)} \|", page), language


@pytest.mark.parametrize("language", ["de", "en", "es", "fr"])
def test_the_demo_is_read_in_its_languages(language: str) -> None:
    book = phrasebook(language)
    done = [line for topic in book.topics.values() for line in topic.done]
    quiet = [line for topic in book.topics.values() for line in topic.quiet]
    denied = [line for topic in book.topics.values() for line in topic.denied]
    assert says_no([*done, *book.farewell, *book.ask_order])["or sent away"].mean() <= FALSE_ALARMS
    assert says_no(denied)["refused"].mean() >= 0.65
    assert bool(quiet) == (language == "de")
    if quiet:
        assert says_no(quiet)["or sent away"].mean() >= 0.9


@pytest.mark.parametrize(
    ("answer", "language"),
    [
        ("La chaqueta está en camino y la entrega está prevista para hoy.", "es"),
        ("El seu paquet ha arribat aquest matí i el pot recollir a la botiga del carrer Major.", "ca"),
        ("Le abbiamo inviato la fattura al suo indirizzo, la trova nella cartella con le altre.", "it"),
        ("Uw pakket is vanochtend aangekomen en ligt voor u klaar in de winkel op het station.", "nl"),
        ("ÜBERMORGEN IST IHR PAKET DA, UND SIE KÖNNEN ES MIT DEM AUSWEIS ABHOLEN.", "de"),
    ],
)
def test_function_words_do_not_take_neighbours_for_a_language(answer: str, language: str) -> None:
    labels = signals.measure_turns(TurnBatch(turns([{"output": answer}])))[1]
    assert labels["language"].to_pylist() == [[language]]
