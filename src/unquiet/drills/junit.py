"""A scorecard as JUnit XML, for the CI systems that show it: a drill is a case.

Lost drills and controls that rang are failures. What was never found is skipped: it is known that it is not heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from unquiet.drills.scorecard import Score
from unquiet.model.nights import Lost
from unquiet.model.wording import counted

SUITE = "unquiet drill"


def to_junit(scores: Sequence[Score], titles: Mapping[str, str], lost: Sequence[Lost]) -> str:
    """The report. `titles` says what happens in each drill."""
    gone = {each.preset: each for each in lost}
    rang = [each for each in scores if each.control and each.found]
    skipped = [each for each in scores if _is_deaf(each) and each.preset not in gone]
    root = Element("testsuites")
    suite = SubElement(
        root,
        "testsuite",
        name=SUITE,
        tests=str(len(scores)),
        failures=str(len(gone) + len(rang)),
        errors="0",
        skipped=str(len(skipped)),
    )
    for each in scores:
        case = SubElement(suite, "testcase", classname=SUITE, name=f"{each.preset}: {titles[each.preset]}")
        if each.preset in gone:
            SubElement(case, "failure", type="lost", message=lost_line(gone[each.preset]))
        elif each.control and each.found:
            SubElement(case, "failure", type="false alarm", message=rang_line(each))
        elif _is_deaf(each):
            SubElement(case, "skipped", message=f"not heard in {counted(each.rehearsals, 'rehearsal')}")
        SubElement(case, "system-out").text = _said(each)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, "unicode") + "\n"


def lost_line(each: Lost) -> str:
    """What was lost, in one sentence."""
    return (
        f"found in {each.found} of {counted(each.rehearsals, 'rehearsal')}, and in {each.found_before} of "
        f"{each.rehearsals_before} of the last month"
    )


def rang_line(each: Score) -> str:
    """A false alarm, in one sentence."""
    return f"nothing is wrong there, and {each.found} of {counted(each.rehearsals, 'rehearsal')} raised an incident"


def _is_deaf(each: Score) -> bool:
    return not each.control and not each.found


def _said(each: Score) -> str:
    said = f"found in {each.found} of {each.rehearsals}; sessions met: {each.affected:g}"
    if each.hours is None or each.control:
        return said
    low, middle, high = each.hours
    return f"{said}; after {middle:.1f} h (quartiles {low:.1f} to {high:.1f}), before which {each.met:g} had met it"
