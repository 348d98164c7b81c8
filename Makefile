# make lab     set up and open JupyterLab on the notebooks
# make test    set up and run every test, notebooks included
# The others are for developers: setup, test-all (with slow tests), lint, lock, pictures, clean.

BIN := .venv/bin
JOBS ?= 2

# JupyterLab refuses root without this; containers are root.
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
PYTEST = $(BIN)/pytest -n $(JOBS) --dist loadfile

.PHONY: lab test test-all setup system lint lint-ruff lint-mypy lint-c lock pictures clean

lab: setup
	$(BIN)/jupyter lab --notebook-dir=notebooks $(ALLOW_ROOT) $(LAB_ARGS)

test: system setup
	@echo "about ten minutes on two cores; JOBS=4 uses four, make test-all adds the slow tests"
	$(PYTEST) $(TEST_ARGS)

test-all: system setup
	$(PYTEST) -m "" $(TEST_ARGS)

setup:
	@scripts/setup.sh

# Chromium for the tests in a browser, qemu for the AArch64 kernel; where they may not be installed tests skip and
# say so.
system:
	@scripts/setup-system.sh chromium
	@scripts/setup-system.sh qemu

lint: setup
	@$(MAKE) --no-print-directory -k lint-ruff lint-mypy lint-c

lint-ruff:
	$(BIN)/ruff check .

lint-mypy:
	$(BIN)/mypy

lint-c:
	@scripts/lint-c.sh

lock: setup
	$(BIN)/python scripts/lock.py

# The README's, retaken in a real JupyterLab; PICTURES="lobby result" takes some.
pictures: setup
	@scripts/setup-system.sh chromium
	$(BIN)/python scripts/pictures.py $(PICTURES)

clean:
	rm -rf .venv .venv.lock .venv.installing .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
