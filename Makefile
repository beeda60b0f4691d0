# Two commands: `make test` sets everything up and runs every test, `make demo` shows the course.
# Without make: python3 course.py test, python3 course.py demo.
PYTHON ?= python3
HW = .venv/bin/python -m coursekit

.PHONY: help setup test demo check prove count lint format house sanitize parity lock cuda-hardware release clean

help:
	@echo "make setup   make .venv with everything the course needs"
	@echo "make test    set up, then run every test"
	@echo "make demo    set up, then show the course at work"
	@echo "make check prove count lint sanitize    what CI asks besides"
	@echo "make parity  compare needle with PyTorch, which is installed for it"

setup:
	@$(PYTHON) course.py setup
	@echo "ready; activate it with: . .venv/bin/activate    then: hw"

test:
	@$(PYTHON) course.py test

demo:
	@$(PYTHON) course.py demo $(ARGS)

check prove count: setup
	@$(HW) $@

# Homework 3 under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: setup
	@.venv/bin/python shared/checks/runners/sanitize.py

# needle against PyTorch, which is installed for it.
parity: setup
	@.venv/bin/python -c "import torch" 2>/dev/null || .venv/bin/python -m pip install --quiet -e ".[parity]"
	@.venv/bin/python -m pytest -q -p no:cacheprovider -p no:randomly shared/checks/parity

# The exact versions that CI installs, resolved anew from the ranges in pyproject.toml.
lock:
	@$(PYTHON) .ci/lock.py

# On a machine with a GPU: a row for the table "run on hardware" of shared/notes/gpu-model.md.
cuda-hardware: setup
	@.venv/bin/python shared/checks/runners/cuda_hardware.py

# The C++ and CUDA that people write; hwN/src is rendered from them.
CXX_FILES = $$(git ls-files '*.cc' '*.cpp' '*.cu' '*.h' ':!hw[0-4]/src/*')

# Rules, layout and types. .pre-commit-config.yaml asks the same of what is about to be committed.
lint: setup
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/clang-format --dry-run --Werror $(CXX_FILES)
	@.venv/bin/python -m mypy
	@cd shared/mugrade && ../../.venv/bin/python -m mypy
	@.venv/bin/python shared/checks/runners/house.py --limits

# How large the house is: lines, long files and functions, circles of imports, types.
house: setup
	@.venv/bin/python shared/checks/runners/house.py $(ARGS)

format: setup
	@.venv/bin/python -m ruff format .
	@.venv/bin/clang-format -i $(CXX_FILES)

clean:
	rm -rf build
