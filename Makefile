# Two commands are enough: `make run` starts the product, `make test` proves it.
# Each needs Python 3.11 or newer, make and a package index; everything else is installed into .venv.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
# A stamp is named after the contents of the files it stands for, so that a changed lock installs again.
sum = $(shell cat $(1) | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime-$(call sum,requirements.txt)
DEVELOPMENT := $(VENV)/.development-$(call sum,requirements.txt requirements-dev.txt)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: run test check openapi screenshots bench bench-quick bench-oversight fuzz torture torture-mutants walk rehearse lock sbom clean

run: $(RUNTIME)
	@exec $(BIN)/python manage.py studio --with-parent

test: $(DEVELOPMENT)
	$(BIN)/python -m palette.tests

# The longest first; what each says is shown when it is through.
CHECKS := check-types check-security check-imports check-interface check-deployment check-migrations check-style
.PHONY: $(CHECKS)
check: $(DEVELOPMENT)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync $(CHECKS)

check-types:
	$(BIN)/mypy accounts gallery generation palette benchmarks conftest.py manage.py

check-security:
	$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml accounts gallery generation palette

check-imports:
	$(BIN)/lint-imports --no-logo

check-interface:
	$(OPENAPI) | diff -u docs/openapi.json -

check-deployment:
	$(BIN)/python -m palette.tests.deployment

check-migrations:
	$(BIN)/python manage.py makemigrations --check --dry-run

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Writes down what the views say of themselves; `make check` shows the difference to it.
openapi: $(DEVELOPMENT)
	$(OPENAPI) > docs/openapi.new && mv docs/openapi.new docs/openapi.json
OPENAPI := $(BIN)/python manage.py spectacular --format openapi-json --validate --fail-on-warn

# Every page of the product with believable work in it, into docs/screenshots; needs Chromium. PAGES="studio usage" are some.
screenshots: $(DEVELOPMENT)
	$(BIN)/python -m palette.tests.screenshots $(PAGES)

bench: $(DEVELOPMENT)
	$(BIN)/python -m benchmarks

# The same with few rounds, within three minutes.
bench-quick: $(DEVELOPMENT)
	$(BIN)/python -m benchmarks --quick

# Oversight with a million predictions: fills two databases first, which takes minutes.
bench-oversight: $(DEVELOPMENT)
	$(BIN)/python -m benchmarks.oversight

# What draws its examples, with many more of them than `make test`, and others each time.
fuzz: $(DEVELOPMENT)
	FUZZ_EXAMPLES=200 FUZZ_REPORT=docs/fuzzing.md $(BIN)/python -m pytest palette/tests/test_fuzz.py
	$(BIN)/python -m pytest -n 2 --timeout 1800 --hypothesis-profile fuzz $$(grep -rl --include='test_*.py' 'import.* given' accounts gallery generation palette | grep -v /torture/)

# Every row of the fault matrix, on both databases; needs DATABASE_URL, REDIS_URL and libfaketime.
torture: $(DEVELOPMENT)
	$(BIN)/python -m generation.tests.torture

# One guard removed at a time: a named row must turn red.
torture-mutants: $(DEVELOPMENT)
	$(BIN)/python -m generation.tests.torture.mutants

# The commands of docs/operations.md, from a new clone to a restored site behind nginx; needs DATABASE_URL and REDIS_URL.
walk: $(DEVELOPMENT)
	$(BIN)/python -m palette.tests.walk

# A machine as docs/operations.md has it, under load, restarted and killed bit by bit: `make rehearse RATE=20 SECONDS=300`.
# Needs DATABASE_URL, REDIS_URL and nginx.
RATE := 20
SECONDS := 300
rehearse: $(DEVELOPMENT)
	$(BIN)/python -m generation.tests.rehearsal --rate $(RATE) --seconds $(SECONDS)

# Pins every requirement with the hashes of its files. Python 3.11.2 or older, or the lock lacks what only these need.
lock: $(DEVELOPMENT)
	$(BIN)/python -m pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) requirements.in --output-file requirements.txt
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) requirements-celery.in --output-file requirements-celery.txt
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) requirements-dev.in --output-file requirements-dev.txt
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links

# What `requirements.txt` pins, by name, version and hashes, as CycloneDX says it.
sbom: $(RUNTIME)
	@mkdir -p var && $(INSTALL:--require-hashes=) --no-warn-conflicts --target var/cyclonedx --upgrade cyclonedx-bom==7.5.0
	@PYTHONPATH=var/cyclonedx $(BIN)/python -m cyclonedx_py requirements requirements.txt --output-reproducible \
		--output-file var/sbom.json && echo "var/sbom.json says what is pinned"

clean:
	rm -rf $(VENV) staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.made:
	$(if $(PYTHON),,$(error Directors Palette needs Python 3.11 or newer))
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUNTIME): $(VENV)/.made
	$(INSTALL) -r requirements.txt
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(INSTALL) -r requirements.txt -r requirements-dev.txt
	@touch $@
