PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: help demo test slow cluster lint bench docs clean
help:
	@echo "make demo   install into .venv and train, judge and explain a network on built-in MRI phantoms"
	@echo "make test   install into .venv and run the tests"
	@echo "make slow   tests that take longer or read real data (SCANLENS_TEST_DATA=/path/to/data)"
	@echo "make cluster   tests on a real Slurm (SCANLENS_TEST_SLURM=/path/to/script, see docs/clusters.md)"
	@echo "make lint   ruff and mypy"
	@echo "make bench  the measurements behind the README's tables (needs SCANLENS_TEST_DATA)"
	@echo "make docs   the README's pictures and docs/sample_report, from demo runs of their own (needs Chromium)"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "scanlens needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(PY) train.py experiment=demo

test: $(STAMP)
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow" -q

slow: $(STAMP)
	$(PY) -m pytest -n 2 --dist worksteal -m slow -q

cluster: $(STAMP)
	$(PY) -m pytest -n 0 -m slow -q tests/cluster

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(STAMP)
	$(PY) benchmarks/real_data.py

docs: $(STAMP)
	$(PY) train.py experiment=demo run_id=pictures
	$(VENV)/bin/scanlens explain run=outputs/pictures parts=score_card cases=24
	$(PY) docs/make_pictures.py outputs/pictures
	$(PY) train.py experiment=demo run_id=sample callbacks.num_explained_cases=3
	rm -rf docs/sample_report && cp -r outputs/sample/report docs/sample_report && chmod -R u=rwX,go=rX docs/sample_report

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
