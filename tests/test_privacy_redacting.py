"""Redaction: what identifies people goes, numbers that only look like it stay; keys of users are kept apart and private."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unquiet.model.errors import ConfigError
from unquiet.model.privacy import ALWAYS
from unquiet.privacy import KEY_FILE, Redactor, UserHasher, folder_key

ALL = Redactor(ALWAYS)

FOUND = {
    "email": [
        "a.b@example.com", "first+tag@mail.example.co.uk", "qq@163.com", "müller@bücher.de", "x%40example.com",
        "o'brien@example.ie", "USER_1@EXAMPLE.ORG", "M\\u00fcller@example.de", "\\nfoo@example.de", "postmaster@xn--bcher-kva.de",
        "mail@example.com.", "<mail@example.com>",
    ],
    "phone": [
        # International.
        "+49 30 1234567", "+49 (0) 30 1234567", "+442079460958", "+1 (415) 555-0132", "+1-800-555-0199", "+33 6 12 34 56 78",
        "+55 11 91234-5678", "+81 3-1234-5678", "+86 138 1234 5678", "+7 912 345-67-89", "+48 601 234 567", "+351 912 345 678",
        "+61 412 345 678", "+27 82 123 4567", "+972 52-123-4567", "+91 98765 43210", "0049 30 1234567", "0044 20 7946 0958",
        # North America, United Kingdom, Germany, Austria, Switzerland, France, Netherlands, Turkey.
        "415-555-0132", "(415) 555-0132", "415.555.0132", "1-800-555-0199", "415 555 0132", "020 7946 0958", "07911 123456",
        "0161 496 0000", "030 1234567", "030/1234567", "0151-23456789", "(030) 1234567", "0664 1234567", "079 123 45 67",
        "06 12 34 56 78", "06.12.34.56.78", "06\u00a012\u00a034\u00a056\u00a078", "020-1234567", "06-12345678", "0532 123 45 67",
        # Australia, Japan, Korea, China, Brazil, Russia.
        "0412 345 678", "(02) 9876 5432", "03-1234-5678", "090-1234-5678", "010-1234-5678", "138 1234 5678", "(11) 91234-5678",
        "8 (912) 345-67-89",
        # After a word that says what follows.
        "Tel: 612 345 678", "phone 5551234567", "call me at 5551234567", "Handynummer ist 015112345678", "móvil: 612345678",
        "電話：0312345678", '{"phone_number": "9876543210"}', '{\\"phone\\": \\"9876543210\\"}', '{"customerPhone":"5551234567"}',
    ],
    "card": [
        "4111 1111 1111 1111", "4111111111111111", "5555-5555-5555-4444", "378282246310005", "3782 822463 10005", "30569309025904",
        "6011111111111117", "3530111333300000", "2223003122003222", "6205500000000000004",
    ],
    "iban": [
        "DE89 3704 0044 0532 0130 00", "DE89370400440532013000", "GB29NWBK60161331926819", "FR14 2004 1010 0505 0001 3M02 606",
        "NL91ABNA0417164300", "de89 3704 0044 0532 0130 00", "\\nDE89370400440532013000", "NO9386011117947",
    ],
    "key": [
        "sk-proj-abcdefghij1234567890ABCD", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefABCDEF", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-DEF_1",
        "Authorization: Bearer abcdef1234567890abcdef", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nMIIEvQcut",
        "glpat-abcdefghij0123456789", "sk_live_abcdefghij0123456789",
    ],
}  # fmt: skip

STAYS = [
    "order 1234567890", "A1234567", "call-1234567890", "resp-123456789012", "INV-2024-001234", "302-1234567-1234567", "0012345678",
    "ticket #030-1234567", "R-0301234567", "order 4111111111111112", "tracking 1Z999AA10123456784", "ISBN 978-3-16-148410-0",
    "2024-01-02", "2024-01-02T03:04:05+01:00", "2024-01-02 03:04:05.123456", "01.02.2024", "01.02.2024 10:15", "01.02.2024 10 15",
    "03/04/2026 12 pieces", "01-02-2024 to 03-04-2024", "from 01.01.2026 until 31.12.2026", "2026-W03", "10:15-11:45",
    "phone 2024-03-01",
    "550e8400-e29b-41d4-a716-446655440000", "0af7651916cd43dd8448eb211c80319c", "sha256:abcdef1234567890abcdef1234567890",
    "1 234 567,89", "$1,234.56", "+10 000 000", "100 200 300", "12.345.678", "3.14159265358979", "0.1234567", "9.81 m/s", "+01:00",
    "1.2.3", "18.2.0", "react@18.2.0", "pkg@1.0.0-beta.rc", "5.10.0-21-amd64", "v10.15.7.1234",
    "1712345678901", "1712345678901234", "1712345678901234567", "user@host", "@mention", "git@localhost",
    "task-abcdefghijklmnopqrstuvwxyz", "Bearer authentication", "bearer instrumentation_library_name", "hotel 1234567 rooms",
    "telephone order 1234567890", "12 34 56 78", "01 02 03 04 05 06", "90210 10001", "DE89370400440532013001",
    "GB00NWBK60161331926819", "10.1.2.3",
]  # fmt: skip

AROUND = ("{}", "x {} y", '{{"v": "{}"}}', "({})", "a\n{}\nb")


def test_what_identifies_people_goes() -> None:
    for name, texts in FOUND.items():
        for text in texts:
            for around in AROUND:
                cleaned = ALL(around.format(text))
                assert f"[{name}]" in cleaned, (name, around.format(text), cleaned)
                digits = [sign for sign in cleaned if sign.isdigit()]
                assert len(digits) <= 2, cleaned


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_like_it_stays(text: str) -> None:
    for around in AROUND:
        whole = around.format(text)
        assert ALL(whole) is whole, ALL(whole)


def test_addresses_only_when_asked_for() -> None:
    redact = Redactor(("ip",))
    assert redact("from 10.1.2.3 and 2001:db8:0:0:0:0:0:1, fe80::1") == "from [ip] and [ip], [ip]"
    assert redact("v1.2.3.4 1.2.3.4.5 300.1.2.3 01.02.03.04 4.5.6") == "v1.2.3.4 1.2.3.4.5 300.1.2.3 01.02.03.04 4.5.6"


def test_several_in_a_row_and_overlaps() -> None:
    assert ALL("a@x.de,b@x.de;+49 30 1234567, 415-555-0132") == "[email],[email];[phone], [phone]"
    assert ALL("12 020 7946 0958") == "12 020 7946 0958", "part of a longer number"


def test_json_stays_json() -> None:
    import orjson

    texts = [
        '{"phone": 5551234567, "n": [1]}',
        '{"a": "\\nfoo@example.com", "card": 4111111111111111}',
        '{"a": "{\\"phone\\": 5551234567}"}',
        '{"a": "M\\u00fcller@example.de\\tx"}',
        '{"pem": "-----BEGIN PRIVATE KEY-----\\nMIIEvQcut"}',
    ]
    for text in texts:
        cleaned = ALL(text)
        assert cleaned != text
        document = orjson.loads(cleaned)
        if text.startswith('{"a": "{'):
            assert orjson.loads(document["a"]) == {"phone": "[phone]"}


def test_patterns_of_the_user() -> None:
    redact = Redactor(("email",), {"member": r"M-\d{6}(-[A-Z])?", "badge": r"(?i)badge [()a-z]+"})
    assert redact("M-123456-B wrote to a@x.de, BADGE (abc)") == "[member] wrote to [email], [badge]"
    assert redact.sees_raw
    assert not Redactor((), {"zip": r"\b\d{5}\b"}).sees_raw
    assert not Redactor((), {"zip": r"^\d{5}"}).sees_raw
    assert Redactor((), {"zip": r"[^a]\d{5}"}).sees_raw
    assert Redactor((), {"zip": r"\b\d{5}\b"})("12345 x123456") == "[zip] x123456"


def test_every_wrong_setting_is_told_at_once() -> None:
    wrong = {"email": "a", "B": "b", "c": "(", "d": "x*", "e": "(?<=a)b", "f": "(?P<n>a)", "g": "a" * 3000}
    with pytest.raises(ConfigError) as told:
        Redactor(("mail", "phone"), wrong)
    text = str(told.value)
    for part in ("mail", "built-in", "'B'", "c: '('", "empty text", "looks back", "names a group", "3000 characters"):
        assert part in text


def test_nothing_to_redact() -> None:
    text = "a@x.de"
    assert Redactor(())(text) is text
    assert not Redactor(()).may_hold(b"a@x.de")


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=80),
    st.sampled_from([t for ts in FOUND.values() for t in ts]),
)
def test_the_prefilter_never_misses(noise: str, text: str) -> None:
    """Whatever the text turns, raw bytes around it are told to hold something, even without a word's boundary."""
    whole = f"{noise} {text} {noise}"
    if ALL(whole) != whole:
        assert ALL.may_hold(whole.encode())
        assert ALL.may_hold(b"\x0a-" + whole.encode() + b"J\x12")
    assert ALL.may_hold(b"9J" + text.encode() + b"J9")


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    assert isinstance(ALL(text), str)
    assert isinstance(ALL(text + "\ud800 a@x.de"), str)


def test_long_texts_take_time_in_proportion() -> None:
    """No text makes the scan go over it again and again."""
    for text in (
        "1 " * 50_000,
        "a" * 100_000 + "@",
        "0" * 100_000,
        "-----BEGIN PRIVATE KEY-----" + "a " * 50_000,
        "+1" * 50_000,
    ):
        began = time.process_time()
        ALL(text + " a@x.de")
        assert time.process_time() - began < 2.0, text[:30]


def test_hashes_are_keyed_and_stable() -> None:
    one, two = UserHasher(b"k" * 32), UserHasher(b"l" * 32)
    assert one("bob") == one("bob") != two("bob")
    assert one("bob").startswith("u_")
    assert len(one("bob")) == 34
    assert one(one("bob")) == one("bob")
    assert one("u_bob") != "u_bob"
    with pytest.raises(ConfigError, match="16 to 64"):
        UserHasher(b"short")


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    key = folder_key(tmp_path, random=lambda n: bytes(range(n)))
    path = tmp_path / KEY_FILE
    assert key == bytes(range(32)) == folder_key(tmp_path, random=os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [KEY_FILE]
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600") as told:
        folder_key(tmp_path)
    assert key.hex() not in str(told.value)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        folder_key(tmp_path)
    with pytest.raises(ConfigError, match="cannot be used"):
        folder_key(tmp_path / "missing")
