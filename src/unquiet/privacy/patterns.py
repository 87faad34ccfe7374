"""The built-in patterns: what identifies a person or opens a door, as RE2 expressions with checks where digits deceive.

Each has an expression of what is looked for, without anything that depends on its neighbours, so that it also finds a match
in raw bytes, between the fields of a message. What must stand before it is told apart, as is what is checked once it is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from unquiet.privacy.phones import DIGITS, PHONES

Check = Callable[[bytes, int, int], bool]
"""Whether what was found in a text, from one place to another, is what it looks like."""

ESCAPED = r"\\[nrtbf]|\\u[0-9a-fA-F]{4}"
"""What stands before a word in JSON inside of a text: the letter after the backslash is no part of the word."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """`body` is what is replaced, `lead` what must stand before it and stays (both RE2), `check` looks at a match again.

    `hint` finds at least what `lead` and `body` find, whatever stands around it: the body itself where it says nothing else.
    Its automaton is what decides how fast all of it is; it must not begin anew at every digit.
    """

    name: str
    body: str
    lead: str = rf"(?:\A|{ESCAPED}|[^\pL\pN_])"
    check: Check | None = None
    hint: str = ""


def luhn(digits: bytes) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = (digit - 48) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_ISSUERS = re.compile(
    rb"4\d{15}(\d{3})?|(5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|3(0[0-5]|[689]\d)\d{11}"
    rb"|(6011|64[4-9]\d|65\d\d|35[2-8]\d|5018|50[23]\d|5893|6304|6759|676[1-3])\d{12}|62\d{14,17}"
)
"""Numbers that a scheme issues. The check digit alone lets a tenth of all order numbers pass."""


def _is_card(data: bytes, start: int, end: int) -> bool:
    digits = DIGITS.sub(b"", data[start:end])
    if data[end : end + 1].isalnum() or not _ISSUERS.fullmatch(digits) or not luhn(digits):
        return False
    # Groups may be a part of a longer number in groups; a number without blanks is one by itself.
    grouped = len(digits) < end - start
    more = re.match(rb"[ -]\d", data[end : end + 2]) or re.search(rb"\d[ -]\Z", data[max(0, start - 2) : start])
    return not (grouped and more)


def _is_iban(data: bytes, start: int, end: int) -> bool:
    """The check digits of an account number (ISO 13616): the rest of a division by 97."""
    text = data[start:end].replace(b" ", b"").upper()
    number = "".join(str(int(chr(sign), 36)) for sign in text[4:] + text[:4])
    return 15 <= len(text) <= 34 and int(number) % 97 == 1 and not data[end : end + 1].isalnum()


def _has_digit(data: bytes, start: int, end: int) -> bool:
    """Words are no keys: `Bearer authentication`, `sk-something-long-in-words`."""
    return any(48 <= sign <= 57 for sign in data[start:end])


def _is_address(data: bytes, start: int, end: int) -> bool:
    """Four bytes and no more: neither a version of five parts nor a part of one."""
    parts = data[start:end].split(b".")
    more = re.match(rb"\.?\d|\.?[A-Za-z_]|-[a-z]", data[end : end + 2]) or re.search(
        rb"[\d.]\Z|\bv\Z", data[max(0, start - 2) : start]
    )
    return not more and all(int(part) <= 255 and (part == b"0" or part[:1] != b"0") for part in parts)


_LABEL = r"[\pL\pN-]*\pL[\pL\pN-]*"
_EMAIL = (
    rf"(?:[\pL\pN_+%&-]|\\u[0-9a-fA-F]{{4}})(?:[\pL\pN_.+%&'-]|\\u[0-9a-fA-F]{{4}})*"
    rf"(?:@|%40)(?:(?:{_LABEL}\.)+|\pN+\.)(?:{_LABEL}\.)*(?:\pL{{2,24}}|xn--[a-z0-9-]{{2,40}})"
)
_EMAIL_HINT = r"(?:@|%40)[\pL\pN-]+\.[\pLx]"
_CARD = (
    r"[2-6]\d{3}(?: \d{4}){3}(?: ?\d{1,3})?|[2-6]\d{3}(?:-\d{4}){3}(?:-?\d{1,3})?|[2-6]\d{7}[ -]\d{8}"
    r"|3\d{3}[ -]\d{6}[ -]\d{4,5}|[2-6]\d{13,18}"
)
_CARD_HINT = r"\d{14}|\d{4}[ -]\d{4}[ -]\d{4}|\d{8}[ -]\d{8}|\d{4}[ -]\d{6}[ -]\d{4}"
_IBAN = r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?|[a-z]{2}\d{2}(?: \d{4}){2,7}(?: \d{1,3})?"
_IBAN_HINT = r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2}|[a-z]{2}\d{2}(?: \d{4}){2}"
_PEM = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_PEM_TEXT = r"(?:[A-Za-z0-9+/=\s:,.-]|\\+[nr])"
_TOKENS = (
    r"sk-[A-Za-z0-9_-]{20,}",
    r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"A(?:KIA|SIA)[0-9A-Z]{16}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
)
_BEARER = r"(?i:\bbearer)(?: |%20|\+)+"
_BEARER_HINT = r"(?i:bearer)(?: |%20|\+)+[A-Za-z0-9._~+/-]{16}"
_V6 = (
    r"(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}"
    r"|(?:[0-9a-fA-F]{1,4}:){2,7}:"
)

BUILT_IN: tuple[Pattern, ...] = (
    Pattern("key", rf"{_PEM}{_PEM_TEXT}*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----", lead="", hint=_PEM),
    Pattern("key", rf"{_PEM}{_PEM_TEXT}*", lead="", hint=_PEM),
    Pattern("key", "|".join(_TOKENS), check=_has_digit),
    Pattern("key", r"[A-Za-z0-9._~+/-]{16,}={0,2}", lead=_BEARER, check=_has_digit, hint=_BEARER_HINT),
    Pattern("email", _EMAIL, lead=r"(?:\\[nrtbf])?", hint=_EMAIL_HINT),
    Pattern("iban", _IBAN, check=_is_iban, hint=_IBAN_HINT),
    Pattern("card", _CARD, check=_is_card, hint=_CARD_HINT),
    *(Pattern("phone", shape.body, shape.lead, shape.check, shape.hint) for shape in PHONES),
    Pattern("ip", r"\d{1,3}(?:\.\d{1,3}){3}", check=_is_address),
    Pattern("ip", _V6),
)
"""In the order in which they are looked for: what an earlier one took, a later one does not see."""

NAMES: tuple[str, ...] = tuple(dict.fromkeys(pattern.name for pattern in BUILT_IN))
