# Everything Likeness is asked to do, with nothing but Python 3.11 or newer and make.
PYTHON ?= python3
IMAGES ?=
PRODUCT = consent collection annotation exports config
BIN = .venv/bin

.PHONY: help demo run test check fmt bench lock label-studio dev examples clean

help:
	@echo "make demo                the whole promise on this machine: sign, upload, label, pay, release, pull, withdraw"
	@echo "make demo IMAGES=folder  the same with your own photographs"
	@echo "make run                 the same stack, left running with its addresses and logins until Ctrl-C"
	@echo "make test                the whole suite"
	@echo "make examples            an environment for examples/train.py, so that make test runs it too"
	@echo "make check fmt bench lock label-studio clean"

# exec: Python is then a child of make itself, and ends with it even if make is killed.
demo:
	@exec $(PYTHON) -m demo.install likeness label-studio
	@exec $(BIN)/python -m demo demo $(if $(IMAGES),--images "$(IMAGES)")

run:
	@exec $(PYTHON) -m demo.install likeness label-studio
	@exec $(BIN)/python -m demo run

dev:
	@exec $(PYTHON) -m demo.install dev

label-studio:
	@exec $(PYTHON) -m demo.install label-studio

examples:
	@exec $(PYTHON) tools/script_venv.py examples/train.py var/examples/venv

test: dev label-studio
	@exec $(BIN)/python -m tests.suite

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PRODUCT)
	$(BIN)/lint-imports
	SECRET_KEY=checks-only $(BIN)/python manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy, as an installation of its own"
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && export LIKENESS_VAR="$$folder" HTTPS=true && \
	    export SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') && \
	    $(BIN)/python manage.py create_signing_key && $(BIN)/python manage.py check --deploy --fail-level WARNING

fmt: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: dev
	$(BIN)/python -m tests.bench

LOCK = $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11
lock: dev
	$(LOCK) pyproject.toml -o requirements/likeness.lock
	$(LOCK) --group dev pyproject.toml -c requirements/likeness.lock -o requirements/dev.lock
	$(LOCK) --group label-studio -o requirements/label-studio.lock

clean:
	rm -rf var/demo var/run var/cache var/logs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
