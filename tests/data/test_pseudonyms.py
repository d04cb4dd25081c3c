"""Pseudonyms need the key: they cannot be had from a number of a patient alone, and stay the same under one key."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scanlens.data.pseudonyms import VARIABLE, Pseudonyms, key_file
from scanlens.errors import ConfigError

SECRET = "a secret of some length"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a key."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_the_key_of_the_environment_counts_and_makes_no_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    expected = hmac.new(SECRET.encode(), b"4711", hashlib.sha256).hexdigest()[:12]
    assert Pseudonyms().of("4711") == expected
    assert expected != hashlib.sha256(b"4711").hexdigest()[:12]
    assert not key_file().exists()


def test_a_key_is_drawn_once_for_its_owner_alone(home: Path) -> None:
    first = Pseudonyms().of("4711")
    assert key_file() == home / "config" / "scanlens" / "pseudonym.key"
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    assert os.listdir(key_file().parent) == ["pseudonym.key"]
    assert Pseudonyms().of("4711") == first
    key = bytes.fromhex(key_file().read_text(encoding="ascii").strip())
    assert first == hmac.new(key, b"4711", hashlib.sha256).hexdigest()[:12]
    key_file().unlink()
    assert Pseudonyms().of("4711") != first


def test_processes_that_begin_together_agree_on_one_key(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: Pseudonyms().of("4711"), range(64)))) == 1


def test_without_a_folder_of_its_own_the_key_lies_in_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    for given in ("", "relative/is/not/allowed"):
        monkeypatch.setenv("XDG_CONFIG_HOME", given)
        assert key_file() == home / ".config" / "scanlens" / "pseudonym.key"


def test_a_short_key_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "4711")
    with pytest.raises(ConfigError, match=f"{VARIABLE}: at least 16 characters are expected, 4 came"):
        Pseudonyms()


@pytest.mark.parametrize("content", [b"", b"too short", b"\xff" * 64, b"0" * 63 + b"g", b"0" * 5000])
def test_a_damaged_key_is_refused_and_kept(home: Path, content: bytes) -> None:
    key_file().parent.mkdir(parents=True)
    key_file().write_bytes(content)
    with pytest.raises(ConfigError, match=r"pseudonym\.key should hold 64 hexadecimal digits.*Restore it from a copy"):
        Pseudonyms()
    assert key_file().read_bytes() == content


def test_where_no_key_can_be_made_nothing_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "file"))
    with pytest.raises(ConfigError, match=rf"Set the environment variable {VARIABLE} to a secret of at least 16"):
        Pseudonyms()
