# Everything sets itself up in .venv; nothing but Python 3.11, make and the package registry is needed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup run test check bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "chipcast needs $(PYTHON); set PYTHON=/path/to/python3.11 or newer"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m compileall -q chipcast $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'])") >/dev/null || true
	$(BIN)/chipcast cluster simulate --chip ascend-910b2 --chips 1024 --days 1 >/dev/null 2>&1 || true
	touch $@

run: $(STAMP)
	$(BIN)/chipcast run $(ARGS)

test: $(STAMP)
	scripts/test $(ARGS)

check: $(STAMP)
	scripts/check

bench: $(STAMP)
	$(BIN)/python -m pytest benchmarks --benchmark-only $(ARGS)

clean:
	rm -rf $(VENV) build runs .pytest_cache .mypy_cache .ruff_cache
