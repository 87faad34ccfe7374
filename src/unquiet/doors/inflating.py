"""Inflating a body, no further than allowed."""

from __future__ import annotations

import zlib

from unquiet.doors.budget import Reservation

ENCODINGS = ("gzip", "deflate", "identity")
STEP_BYTES = 1 << 20

_GZIP, _ZLIB, _RAW = 31, 15, -15


class TooLargeError(Exception):
    """The body is larger than allowed once it is inflated."""


class NotCompressedError(Exception):
    """The body is not in the encoding that it claims, or ends too early; the text says what is wrong."""


def inflated(body: bytes, encoding: str, bytes_max: int, reservation: Reservation) -> bytes:
    """The body without its encoding, one of `ENCODINGS`.

    Raises:
        NotCompressedError: it does not have that encoding.
        TooLargeError: it would be larger than `bytes_max`.
        OverBudgetError: there is no room for it now.
    """
    if encoding == "identity" or not body:
        return body
    try:
        if encoding == "gzip":
            return _members(body, _GZIP, bytes_max, reservation)
        # RFC 9110 means zlib; some senders leave out its head.
        has_head = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _members(body, _ZLIB if has_head else _RAW, bytes_max, reservation)
    except zlib.error as error:
        raise NotCompressedError(f"the body is not {encoding} ({error})") from error


def _members(body: bytes, window_bits: int, bytes_max: int, reservation: Reservation) -> bytes:
    """Inflate one member after another; gzip may have several."""
    pieces: list[bytes] = []
    size = 0
    rest = body
    while rest:
        stream = zlib.decompressobj(window_bits)
        while not stream.eof:
            piece = stream.decompress(rest, STEP_BYTES)
            rest = stream.unconsumed_tail
            if not piece and not rest and not stream.eof:
                raise NotCompressedError("the compressed body ends too early")
            size += len(piece)
            if size > bytes_max:
                raise TooLargeError
            reservation.grow(len(piece))
            pieces.append(piece)
        rest = stream.unused_data
        if window_bits != _GZIP and rest:
            raise NotCompressedError("something follows the compressed body")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
