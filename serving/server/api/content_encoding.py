"""Decoders of the HTTP header Content-Encoding of requests (RFC 9110, section 8.4)."""

import zlib
from collections.abc import Iterator

from serving.server.errors import invalid

PIECE = 1 << 20
_GZIP_WBITS = 31  # zlib: 15 bits of window, with a gzip header


class IdentityDecoder:
    """Passes the content of a request on."""

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Yields the decoded content of one part."""
        yield part

    def close(self) -> None:
        """Raises ServeError if the content is incomplete."""


class GzipDecoder(IdentityDecoder):
    """Inflates gzip, which may consist of several members (RFC 1952, section 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WBITS)

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Yields at most PIECE bytes at a time: the caller can stop at its limit.

        Raises:
          ServeError: the content is not gzip, or is damaged.
        """
        while part:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WBITS)
            try:
                piece = self._member.decompress(part, PIECE)
            except zlib.error:
                raise invalid("Content-Encoding is gzip, but the request is not gzip") from None
            if piece:
                yield piece
            part = self._member.unconsumed_tail or self._member.unused_data
            # Output may be left when all input is consumed.
            while not part and not self._member.eof and len(piece) == PIECE:
                piece = self._member.decompress(b"", PIECE)
                if piece:
                    yield piece

    def close(self) -> None:
        """Raises ServeError if the last member is incomplete."""
        if not self._member.eof:
            raise invalid("the gzip content of the request is truncated")


def decoder(header: str) -> IdentityDecoder:
    """Returns the decoder of a Content-Encoding header; empty: none.

    Raises:
      ServeError: 415, an encoding other than gzip.
    """
    name = header.strip().lower()
    if name in ("", "identity"):
        return IdentityDecoder()
    if name in ("gzip", "x-gzip"):
        return GzipDecoder()
    raise invalid(f"Content-Encoding {header[:50]!r} is not supported; use gzip or none", 415)
