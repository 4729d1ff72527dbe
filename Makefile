# Everything is set up on first use; only Python >= 3.11, make and a package index are needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

PYTEST := $(BIN)/python -m pytest -n auto

.PHONY: demo test fuzz check format bench lock clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("rlm-runtime needs Python 3.11 or later; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	@$(BIN)/rlm-runtime ask "What is Activity?" ontology/prov.ttl --model offline \
	  --log runs/demo.jsonl --mlflow --experiment demo --tracking-uri sqlite:///runs/mlflow.db

test: check
	$(PYTEST)

# Seek new examples for the tests by property, ROUNDS times as many as `make test` tries.
ROUNDS ?= 10
fuzz: $(STAMP)
	for _ in $$(seq $(ROUNDS)); do \
	  $(PYTEST) -m hypothesis --hypothesis-profile fuzz || exit 1; \
	done

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python benchmarks/observability.py
	$(BIN)/python benchmarks/delivery.py
	$(BIN)/python benchmarks/ontology.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/analysis.py

# Pin what the tests run with; the ranges in pyproject.toml are for users.
lock: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable --quiet > constraints.txt

clean:
	rm -rf $(VENV) runs
