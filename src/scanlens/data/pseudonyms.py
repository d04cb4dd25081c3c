"""Pseudonyms of patients: hashes under a secret key, so that nobody without the key can try numbers of patients one by one.

The key is the environment variable SCANLENS_PSEUDONYM_KEY or, where that is not set, the file `scanlens/pseudonym.key` in
$XDG_CONFIG_HOME (else ~/.config), which is drawn once and readable by its owner alone. It never lies in a run folder. Who
works on several machines, or with others on the same patients, sets the same variable or copies the file: another key
gives other pseudonyms. Where the file cannot be made nothing goes on: a plain hash of a short number can be turned back in
seconds, and pseudonyms would change with the day on which the file can be made.

References:
    RFC 2104 (HMAC); DICOM PS3.15 E.3.9 (patients stay distinguishable in de-identified data).
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import tempfile
import uuid
from pathlib import Path

from scanlens.errors import ConfigError

VARIABLE = "SCANLENS_PSEUDONYM_KEY"
LEAST_CHARACTERS = 16
DIGITS = 12  # 48 bits: two of 100,000 patients get one pseudonym with a chance of 2 in 10^5
_KEY_FILE = re.compile(r"[0-9a-f]{64}\s*")
_MOST_BYTES = 1024


class Pseudonyms:
    """Gives the pseudonym of a value, always the same under one key.

    Raises:
        ConfigError: there is no key, and none can be made.
    """

    def __init__(self) -> None:
        self._key = _key_of_environment() or _key_of_file(key_file())

    def of(self, value: str) -> str:
        """Twelve hexadecimal digits."""
        return hmac.digest(self._key, value.encode(), "sha256").hex()[:DIGITS]

    def uid(self, value: str) -> str:
        """A DICOM UID in place of another one, or of any other value (PS3.5 B.2)."""
        digest = hmac.digest(self._key, f"uid\0{value}".encode(), "sha256")
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


def key_file() -> Path:
    """Where the key of this user lies, unless the environment holds one."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    above = (
        Path(given) if os.path.isabs(given) else Path("~/.config")
    )  # relative ones do not count, says their standard
    try:
        return above.expanduser() / "scanlens" / "pseudonym.key"
    except RuntimeError as error:  # a user without a home
        raise _no_key(f"{error}") from error


def _key_of_environment() -> bytes | None:
    given = os.environ.get(VARIABLE)
    if given is None:
        return None
    if len(given) < LEAST_CHARACTERS:
        raise ConfigError([f"{VARIABLE}: at least {LEAST_CHARACTERS} characters are expected, {len(given)} came."])
    return given.encode("utf-8", "surrogateescape")


def _key_of_file(path: Path) -> bytes:
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise _no_key(f"{path}: {error.strerror or error}") from error
    if not _KEY_FILE.fullmatch(text):
        raise ConfigError(
            [
                f"{path} should hold 64 hexadecimal digits and does not. Restore it from a copy, or remove it: a new key is "
                "drawn then, and patients of DICOM files get other pseudonyms than in former runs."
            ]
        )
    return bytes.fromhex(text.strip())


def _make(path: Path) -> None:
    """Draw a key; if another process does so at the same time, the first one counts."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".pseudonym.")  # for its owner alone
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink(missing_ok=True)


def _no_key(why: str) -> ConfigError:
    return ConfigError(
        [
            f"numbers of patients in DICOM files are hidden by a secret key, and none can be read or made ({why}). "
            f"Set the environment variable {VARIABLE} to a secret of at least {LEAST_CHARACTERS} characters, the same for "
            'every run on these patients, such as the output of: python -c "import secrets; print(secrets.token_hex(32))"'
        ]
    )
