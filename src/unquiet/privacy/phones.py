"""Phone numbers as people write them in many countries: shapes that nothing else has, or a word that says what follows.

Eight to eleven digits alone are an order number as often as a phone number. They are taken for one only with a plus, in
the groups in which phone numbers are written, or after a word such as "phone" or "Tel.".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

DIGITS = re.compile(rb"\\u[0-9a-fA-F]{4}|\D")
"""What is no digit of a number; an escaped blank has digits that are none."""

_SP = r"(?: |\x{a0}|\x{202f}|\\u00a0|\\u202f)"
_SEP = r"(?:[ .\x{a0}\x{202f}\x{2011}-]|\\u00a0|\\u202f)"
_BEFORE = r"(?:\A|\\[nrtbf]|\\u[0-9a-fA-F]{4}|[^\pL\pN_.\-/#+&$€£@%\\])"
_WORDS = (
    "tel|telefon|teléfono|telefono|telefone|telefoon|telephone|téléphone|phone|phones|fon|mobile|mobil|mobiltelefon|móvil|movil|"
    "celular|cellulare|cell|cellphone|handy|handynummer|telefonnummer|mobilnummer|rufnummer|fax|whatsapp|portable|gsm|komórka|"
    "телефон|тел|電話|電話番号|电话|手机|전화|전화번호|(?:call|text|reach|ring|phone) (?:me|us|him|her|them)(?: back)? (?:at|on)|"
    "erreichbar unter|llám[ae]me al|rappelez-moi au|joignable au"
)
_FILL = (
    r"(?:[\s.:#*=\"'\\(_：-]|number|nummer|numéro|número|num|no|nr|n°|phone|telefon|is|ist|est|es|le|la|at|on|é|は|是|为|"
    r"\\u[0-9a-fA-F]{4})"
)
_CAMEL = "(?:Phone|Mobile|Fax)"
_NUMBER = r"\+?\(?\d(?:[ ().\-/]{0,2}\d){6,14}"
_DATE = re.compile(rb"\d{4}[-./]\d\d[-./]\d\d|\d\d[-./]\d\d[-./](?:\d{4}(?!\d)|\d\d(?![-./\d]))")


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to write a number: the fields are those of a pattern."""

    body: str
    lead: str
    check: Callable[[bytes, int, int], bool]
    hint: str = ""


def _digits(data: bytes, start: int, end: int) -> bytes:
    return DIGITS.sub(b"", data[start:end])


def _apart(data: bytes, start: int, end: int) -> bool:
    """Whether no other digits stand right before or after: groups of a longer number are no phone number."""
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    glued = re.match(rb"\w", after) and not re.match(rb"x\d", after)
    return not glued and not re.search(rb"\d[ .\-/]\Z", before) and not re.match(rb"[ .\-/,:]\d", after)


def _national(data: bytes, start: int, end: int) -> bool:
    """A number with a leading zero in groups: nine to twelve digits, and no date."""
    found, digits = data[start:end], _digits(data, start, end)
    if not 9 <= len(digits) <= 12 or _DATE.match(found):
        return False
    # Numbers in pairs are five pairs; more of them are a list.
    pairs = all(len(group) == 2 for group in re.findall(rb"\d+", found))
    return (len(digits) == 10 or not pairs) and _apart(data, start, end)


def _international(data: bytes, start: int, end: int) -> bool:
    """Nine to fifteen digits (E.164); those of North America have eleven, and no area begins with 0 or 1."""
    digits = _digits(data, start, end).removeprefix(b"00")
    glued = re.match(rb"\w", data[end : end + 1]) and not re.match(rb"x\d", data[end : end + 2])
    if glued or not 9 <= len(digits) <= 16:
        return False
    return digits[:1] != b"1" or (len(digits) == 11 and digits[1] > ord("1"))


def _named(data: bytes, start: int, end: int) -> bool:
    """What follows a word such as "phone": seven to fifteen digits, and no date."""
    found = data[start:end]
    return 7 <= len(_digits(data, start, end)) <= 15 and not _DATE.match(found.lstrip(b"(+"))


PHONES: tuple[Shape, ...] = (
    Shape(rf"\+ ?[1-9](?:(?:{_SEP}|[()/]){{0,3}}\d){{8,15}}", _BEFORE, _international),
    Shape(rf"00[1-9]\d{{0,2}}(?:{_SEP}|[(/])(?:(?:{_SEP}|[()/]){{0,2}}\d){{7,13}}", _BEFORE, _international),
    # North America; digits parted by blanks only where area and exchange are ones that are given out.
    Shape(
        r"(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?\d{3}[ .-]\d{4}|[2-9]\d\d[.-]\d{3}[ .-]\d{4}|[2-9]\d\d [2-9]\d\d[ -]\d{4})",
        _BEFORE,
        _apart,
    ),
    # With a leading zero: area and number, or groups of two to four.
    Shape(rf"0[1-9]\d{{0,4}}(?:{_SP}|[/-])\d{{4,8}}", _BEFORE, _national),
    Shape(rf"0[1-9]\d{{0,3}}(?:{_SEP}|/)\d{{2,4}}(?:{_SEP}\d{{2,5}}){{1,4}}", _BEFORE, _national),
    Shape(r"\(0\d{1,4}\) ?\d{2,8}(?:[ -]\d{2,5}){0,3}", _BEFORE, _national),
    # Brazil, China, Russia.
    Shape(r"\([1-9]\d\) ?9?\d{4}[ -]\d{4}", _BEFORE, _apart),
    Shape(r"1[3-9]\d[ -]\d{4}[ -]\d{4}", _BEFORE, _apart),
    Shape(r"8[ -]?\(?9\d\d\)?[ -]\d{3}[ -]\d\d[ -]\d\d", _BEFORE, _apart),
    Shape(_NUMBER, rf"(?:\A|[^\pL\pN])(?i:{_WORDS}){_FILL}{{1,12}}", _named, rf"(?i:{_WORDS}){_FILL}{{1,12}}{_NUMBER}"),
    Shape(_NUMBER, rf"[a-z]{_CAMEL}{_FILL}{{1,12}}", _named, rf"{_CAMEL}{_FILL}{{1,12}}{_NUMBER}"),
)
"""The last two find any number after a word that says what it is; the word stays, and is part of the hint."""
