# BEGIN STAFF
# Two commands: `make test` sets everything up and runs every test, `make demo` shows the course.
# Without make: python3 course.py test, python3 course.py demo.
# A release has this file without the lines between BEGIN STAFF and END STAFF.
# END STAFF
PYTHON ?= python3

.PHONY: help setup clean

help:
	@echo "make setup   make .venv with everything the course needs"
	@echo "make clean   delete what was compiled; your work stays"
# BEGIN STAFF
	@echo "make test    set up, then run every test"
	@echo "make demo    set up, then show the course at work"
	@echo "make check prove count lint coverage sanitize    what CI asks besides"
	@echo "make format  lay out Python and C++        make house   how large the house is"
	@echo "make site    the course as a site, in build/site"
	@echo "make parity  compare needle with PyTorch, which is installed for it"
	@echo "make lock    renew the exact versions that CI installs"
# END STAFF

setup:
	@$(PYTHON) course.py setup
	@echo "ready; activate it with: . .venv/bin/activate    then: hw"

# BEGIN STAFF
HW = .venv/bin/python -m coursekit

.PHONY: test demo check prove count lint lint-rules lint-types lint-mugrade format coverage house sanitize parity lock cuda-hardware site

test:
	@$(PYTHON) course.py test $(ARGS)

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

# Homework texts, notes, project and needle's reference as pages that open without a network.
site: setup
	@.venv/bin/python shared/site/build.py

# The exact versions that CI installs, resolved anew from the ranges in pyproject.toml.
lock:
	@$(PYTHON) .ci/lock.py

# On a machine with a GPU: a row for the table "run on hardware" of shared/notes/gpu-model.md.
cuda-hardware: setup
	@.venv/bin/python shared/checks/runners/cuda_hardware.py

# The C++ and CUDA that people write; hwN/src is rendered from them.
CXX_FILES = $$(git ls-files '*.cc' '*.cpp' '*.cu' '*.h' ':!hw[0-4]/src/*')

# Rules, layout, types, and the style of texts. .pre-commit-config.yaml asks the same of what is about to be committed.
lint: lint-rules lint-types lint-mugrade

lint-rules: setup
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/clang-format --dry-run --Werror $(CXX_FILES)
	@.venv/bin/python shared/checks/runners/house.py --limits
	@.venv/bin/python -m pytest -q -p no:cacheprovider shared/checks/test_style.py

lint-types: setup
	@.venv/bin/python -m mypy

lint-mugrade: setup
	@cd shared/mugrade && ../../.venv/bin/python -m mypy

# At least 95% of coursekit's core and of the autograder's pure core are run by their own tests.
PYTEST = .venv/bin/python -m pytest -q -p no:cacheprovider -n 2
coverage: setup
	@$(PYTEST) shared/coursekit/tests --cov
	@$(PYTEST) shared/mugrade/tests --cov --cov-config=shared/mugrade/pyproject.toml

# How large the house is: lines, long files and functions, circles of imports, types.
house: setup
	@.venv/bin/python shared/checks/runners/house.py $(ARGS)

format: setup
	@.venv/bin/python -m ruff format .
	@.venv/bin/clang-format -i $(CXX_FILES)
# END STAFF

clean:
	rm -rf build hw*/build
