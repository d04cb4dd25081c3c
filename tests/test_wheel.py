"""A wheel, installed somewhere else, trains from an empty directory."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from fakes.commands import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(REPOSITORY)]
    subprocess.run(command, check=True, timeout=300)
    (built,) = out.glob("scanlens-*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_configuration_and_templates_but_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "scanlens/conf/train.yaml" in names
    assert "scanlens/conf/model/lenet.yaml" in names
    assert {"hydra_plugins/scanlens_sweeps/grid.py", "scanlens/conf/hydra/sweeper/grid.yaml"} <= set(names)
    assert "hydra_plugins/__init__.py" not in names, "a namespace that other packages share"
    assert any(name.startswith("scanlens/report/templates/") for name in names)
    assert not [name for name in names if name.startswith(("tests", "outputs", "benchmarks"))]


@pytest.mark.slow
def test_an_installed_wheel_trains_from_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=120)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True, timeout=120)
    # The third-party packages of this environment are made visible; this project's own editable link is not.
    shared = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    (shared / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    small = [
        "data.num_patients=24",
        "data.slices_per_patient=2",
        "preprocess.size=32",
        "trainer.max_epochs=1",
        "run_id=w",
    ]
    command = [str(environment / "bin" / "scanlens"), "train", "model=lenet", "data=mri", *small]
    done = subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (empty / "outputs" / "w" / "report" / "index.html").is_file()
    where = subprocess.check_output([python, "-c", "import scanlens; print(scanlens.__file__)"], cwd=empty, text=True)
    assert str(environment) in where
