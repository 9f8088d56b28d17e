# `make help` lists what there is. PY is the Python that makes the virtual environment.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)
# every process that the tests start would compile all of the program again
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## list what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The virtual environment, made again when a lock file changes. `scripts/venv.sh` finds a way where Python has no ensurepip.
$(VENV)/.runtime: requirements.txt scripts/venv.sh
	@sh scripts/venv.sh $(PY) $(VENV) requirements.txt
	@touch $@

# the tests' tools and all of the runtime in one go: the second lock file holds the first
$(VENV)/.dev: requirements-dev.txt requirements.txt scripts/venv.sh
	@sh scripts/venv.sh $(PY) $(VENV) requirements-dev.txt
	@touch $(VENV)/.runtime $@

ui/node_modules/.ready: ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

UI_SOURCES := $(shell find ui/src ui/public ui/index.html ui/vite.config.ts ui/package.json -type f 2>/dev/null)
anwang/web/static/index.html: ui/node_modules/.ready $(UI_SOURCES)
	cd ui && npm run --silent build

.PHONY: install
install: $(VENV)/.dev anwang/web/static/index.html ## everything into this checkout, tests' tools too

.PHONY: demo
demo: $(VENV)/.runtime anwang/web/static/index.html ## open 安澜市, the simulated city
	$(BIN)/python -m anwang demo $(ARGS)

.PHONY: serve
serve: $(VENV)/.runtime anwang/web/static/index.html ## run the platform (ARGS="--config anwang.toml")
	$(BIN)/python -m anwang serve $(ARGS)

.PHONY: fast
fast: $(VENV)/.dev ## the tests that take seconds: unit, wire, arch
	$(BIN)/python -m pytest tests/unit tests/wire tests/arch -n 2

.PHONY: test
test: install ## all tests
	$(BIN)/python -m pytest tests -n 3 --dist loadgroup
	cd ui && npm run --silent test

.PHONY: browser
browser: install ## the main paths in Chromium, against a small demo; some minutes
	$(BIN)/python -m pytest tests/browser

.PHONY: check
check: install ## lint, types, rings, generated files up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd ui && npm run --silent check
	$(BIN)/python scripts/gen.py --check

.PHONY: gen
gen: install ## make all that is generated (OpenAPI, API client, settings reference, map of the code)
	$(BIN)/python scripts/gen.py

.PHONY: lock
lock: $(VENV)/.dev ## renew the lock files from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements-dev.txt

.PHONY: bless
bless: install ## renew golden files; read the difference in review
	BLESS=1 $(BIN)/python -m pytest tests/arch/test_routes.py tests/contract/test_metrics.py

.PHONY: bench
bench: install ## the measurements of docs/benchmarks.md
	$(BIN)/python -m benchmarks --out docs/benchmarks.md $(ARGS)

.PHONY: docs
docs: gen ## the generated pages of docs/
