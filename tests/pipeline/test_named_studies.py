"""Studies of several runs on data full of names: what they write names nobody, and their pages are readable by everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.browsing import CHROMIUM, NO_CHROMIUM, barriers, chromium, opened
from fakes.commands import run_command
from fakes.secret_search import leaks_in, secrets_of
from fakes.secrets import home, write_pictures

pytestmark = pytest.mark.slow
PROGRAM = "from scanlens.cli import main; main()"
QUICK = ["model=lenet", "trainer.max_epochs=1", "augment=none", "preprocess.size=32", "callbacks.num_explained_cases=2",
         "callbacks.bootstrap_resamples=50", "loader.max_quarantined_share=0.5", "callbacks.explain_every_n_epochs=0"]  # fmt: skip
# What names files, so that a run can go on and be checked (docs/privacy.md).
PRIVATE = ("config.yaml", "split.csv", "images.csv", "quarantine.csv", "meta.csv", "manifest.json", "predictions/*.csv",
           ".jobs/*.json")  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds with two seeds, their comparison, their ensemble, how far their maps move, and the images of elsewhere."""
    folder = tmp_path_factory.mktemp("studies")
    root, other, outputs = home(folder), home(folder / "other"), folder / "outputs"
    write_pictures(root, num=24)
    write_pictures(other, num=8)
    words = ["data=folder", f"data.root={root}", "data.patient_from=folder"]
    told = []
    for command in (
        ["folds", "seeds=[1,2]", *words, *QUICK, "run_id=study"],
        ["folds", "folds=3", *words, *QUICK, "run_id=parts"],
        ["compare", f"runs={outputs}/study/seed_1,{outputs}/study/seed_2"],
        ["ensemble", f"runs={outputs}/study/seed_1,{outputs}/study/seed_2"],
        ["explain", f"runs={outputs}/study/seed_1,{outputs}/study/seed_2", "cases=4"],
        ["evaluate", f"run={outputs}/study/seed_1", f"data.root={other}", "on_seen=warn"],
    ):
        done = run_command(["-c", PROGRAM, *command], cwd=folder, timeout_s=900)
        assert done.returncode == 0, (command[0], done.stderr)
        told.append(done.stdout + done.stderr)
    (folder / "told.txt").write_text("\n".join(told), encoding="utf-8")
    return folder


def test_nobody_is_named_in_what_may_be_passed_on(work: Path) -> None:
    assert leaks_in(work / "outputs", leaving_out=PRIVATE) == {}
    lines = (work / "told.txt").read_text(encoding="utf-8").splitlines()
    own = "\n".join(line for line in lines if "[HYDRA]" not in line)  # which repeats the words of the command
    assert secrets_of(own.encode()) == set()


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_their_pages_ask_for_nothing_and_have_no_barriers(work: Path) -> None:
    pages = [next((work / "outputs").rglob(name)) for name in ("folds.html", "comparison.html", "map_spread.html")]
    pages.append(next((work / "outputs").glob("study/seed_1/external/*/report/index.html")))
    with chromium() as browser:
        for path in pages:
            with opened(browser, path) as (page, heard):
                page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
                assert (heard.found, heard.opened) == ([], [path.as_uri()]), path.name
            assert barriers(browser, path) == {}, path.name
