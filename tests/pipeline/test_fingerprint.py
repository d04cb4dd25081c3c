"""The file that says what training images are like: read back as written, and refused where it is something else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scanlens.data.image_facts import FACTS
from scanlens.errors import RunError
from scanlens.pipeline.fingerprint import read_fingerprint, whole_groups


def parts(num: int = 4, num_val: int = 3) -> dict[str, Any]:
    return {
        "version": np.array(1),
        "facts": np.array(FACTS),
        "facts_NF": np.ones((num, len(FACTS))),
        "group_N": np.arange(num),
        "judges_N": np.arange(num) % 2 == 0,
        "thumbs_ND": np.zeros((num, 2)),
        "residual_N": np.zeros(num),
        "val_ND": np.zeros((num_val, 1)),
        "val_distance_N": np.zeros(num_val),
        "val_group_N": np.arange(num_val),
        "pictures_mean_D": np.zeros(3, np.float32),
        "pictures_basis_CD": np.eye(3, dtype=np.float32)[:2],
        "pictures_spread_C": np.ones(2, np.float32),
        "features_mean_D": np.zeros(2, np.float32),
        "features_basis_CD": np.eye(2, dtype=np.float32)[:1],
        "features_spread_C": np.ones(1, np.float32),
    }


def written(path: Path, **changed: Any) -> Path:
    content = {name: value for name, value in (parts() | changed).items() if value is not None}
    np.savez_compressed(path, **content)
    return path


def test_it_is_read_back_and_may_be_absent(tmp_path: Path) -> None:
    assert read_fingerprint(tmp_path / "none.npz") is None
    found = read_fingerprint(written(tmp_path / "f.npz"))
    assert found is not None
    assert found.pictures is not None
    np.testing.assert_array_equal(found.facts_NF, np.ones((4, len(FACTS))))
    np.testing.assert_array_equal(found.pictures.basis_CD, np.eye(3)[:2])
    without = read_fingerprint(written(tmp_path / "g.npz", features_mean_D=None))
    assert without is not None
    assert without.features is None


@pytest.mark.parametrize(
    "changed",
    [
        {"version": np.array(2)},
        {"facts": np.array(FACTS[:-1])},
        {"group_N": None},
        {"group_N": np.arange(5)},
        {"facts_NF": np.ones((4, 2))},
        {"residual_N": np.zeros(3)},
        {"judges_N": np.zeros(4)},
        {"val_ND": np.zeros((3, 2))},
        {"pictures_spread_C": np.zeros(2, np.float32)},
        {"pictures_basis_CD": np.zeros((2, 4), np.float32)},
        {"pictures_mean_D": np.array([{}], dtype=object)},
    ],
)
def test_something_else_is_refused_and_nothing_in_it_is_run(changed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"f\.npz does not say what the training images are like"):
        read_fingerprint(written(tmp_path / "f.npz", **changed))


def test_files_that_unpack_to_too_much_or_are_no_archive_are_refused(tmp_path: Path) -> None:
    bomb, broken = tmp_path / "bomb.npz", tmp_path / "broken.npz"
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(9_000_000))
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("facts_NF.npy", buffer.getvalue())
    assert bomb.stat().st_size < 100_000
    with pytest.raises(RunError, match=r"at most 67,108,864 bytes"):
        read_fingerprint(bomb)
    broken.write_bytes(b"not an archive")
    with pytest.raises(RunError, match="Restore it from a copy"):
        read_fingerprint(broken)


def test_whole_groups_are_drawn() -> None:
    groups = np.repeat(np.arange(30), 3)
    taken = whole_groups(np.arange(90), groups, most=32, seed=1)
    assert len(taken) == 30
    assert len(set(groups[taken].tolist())) == 10
    assert len(whole_groups(np.arange(90), np.zeros(90, np.int64), most=32, seed=1)) == 32
    np.testing.assert_array_equal(whole_groups(np.arange(5), groups, most=32, seed=1), np.arange(5))
