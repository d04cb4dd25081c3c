"""A search for planted secrets in every byte of what a run writes, packed, drawn, encoded or plain."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from fakes.secrets import SECRETS

_HTML_DATA = re.compile(rb"base64,([A-Za-z0-9+/=]{40,})")
_DEPTH = 4


def leaks_in(folder: Path, *, leaving_out: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Which file below a folder, by its name there, holds which secret, in its name or in any byte; empty if none does.

    Args:
        folder: of outputs.
        leaving_out: glob patterns of names below the folder that are not looked at.
    """
    found = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder)
        if not any(name.match(pattern) for pattern in leaving_out):
            told = secrets_of(path.read_bytes()) | _told_plainly(str(name).encode())
            if told:
                found[str(name)] = sorted(told)
    return found


def secrets_of(data: bytes, depth: int = 0) -> set[str]:
    """Secrets in some bytes, as any encoding writes them, and in what is packed into them."""
    found = _told_plainly(data)
    if depth < _DEPTH:
        for inner in _unpacked(data):
            found |= secrets_of(inner, depth + 1)
    return found


def _told_plainly(data: bytes) -> set[str]:
    lower = data.lower()
    return {secret for secret, ways in _WAYS.items() if any(way in lower for way in ways)} | {
        secret for secret, ways in _BASE64.items() if any(way in data for way in ways)
    }


def _ways(secret: str) -> set[bytes]:
    found = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("-", "_")}
    found |= {secret.replace("ü", "&uuml;").replace("ß", "&szlig;"), secret.replace(" ", "_"), secret.replace(" ", "+")}
    encodings = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    return {text.lower().encode(encoding) for text in found for encoding in encodings}


def _in_base64(secret: str) -> set[bytes]:
    """The middle of the secret in base64, wherever it begins; of the secret as written, lower and upper case."""
    found = set()
    for text in (secret, secret.lower(), secret.upper()):
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + text.encode())
            found.add(coded[4 if shift else 0 : -4])
    return {one for one in found if len(one) >= 8}


_WAYS = {secret: _ways(secret) for secret in SECRETS}
_BASE64 = {secret: _in_base64(secret) for secret in SECRETS}


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data[:4] == b"PK\x03\x04":  # NPZ, checkpoints
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield archive.read(name)
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            yield repr({**image.info, "exif": dict(image.getexif())}).encode()
    elif data[:5] == b"%PDF-":
        yield from _pdf_parts(data)
    elif data[:1] == b"\x78" and _begins_like_zlib(data):
        yield from _inflated(data)
    else:
        for coded in _HTML_DATA.findall(data):
            yield base64.b64decode(coded + b"=" * (-len(coded) % 4))


def _begins_like_zlib(data: bytes) -> bool:
    """Whether it begins like a zlib stream (RFC 1950)."""
    return len(data) > 2 and int.from_bytes(data[:2], "big") % 31 == 0


def _inflated(data: bytes) -> Iterator[bytes]:
    try:
        yield zlib.decompress(data)
    except zlib.error:
        return


def _pdf_parts(data: bytes) -> Iterator[bytes]:
    """Text, what is told of the document, and every stream unpacked."""
    from pypdf import PdfReader
    from pypdf.generic import StreamObject

    reader = PdfReader(io.BytesIO(data))
    yield repr(reader.metadata).encode()
    for page in reader.pages:
        yield page.extract_text().encode("utf-8", "replace")
    for number in range(1, len(reader.xref_objStm) + max(map(len, reader.xref.values()), default=0) + 1):
        try:
            one = reader.get_object(number)
        except Exception:
            continue
        if isinstance(one, StreamObject):
            try:
                yield one.get_data()
            except Exception:
                continue
