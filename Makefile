# What people call. Everything is done by tools/, delivery/ and Pulumi; each step says so when it takes long.
#
#   make up     sets everything up, trains two versions of a model, brings the stack `local` up
#   make test   runs every test
#   make down   removes what `make up` has started
#
# Needed: git, make, Python 3.11 or newer, and Go where no Pulumi is installed and none can be downloaded.

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
# Words for pytest: make test TESTS="tests/unit -k weights"
TESTS :=
# Optional groups of packages: make setup WITH=azure
WITH :=
# What `make plan` plans and `make review` reviews; and the git commit a plan starts from (none: from nothing)
ENV := dev
SINCE :=
# Further words for the review: make review ENV=prod REVIEW="--format markdown"
REVIEW :=

# Dozens of processes import the same big SDKs. Where Python is told to leave no bytecode beside its sources, each of
# them would compile them anew; so it is kept out of the way.
ifdef PYTHONDONTWRITEBYTECODE
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.delivery/bytecode
endif

# Our files and what we print are UTF-8, whatever the locale says.
export PYTHONUTF8 := 1

.PHONY: help setup env up down plan review test test-fast test-cluster test-image check clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: env ## make the Python environment and the toolchain, and nothing else
	@. tools/python.sh; "$$python" -m tools.toolchain

env:
	@. tools/python.sh; "$$python" -m tools.environment $(WITH:%=--group=%) > /dev/null

up: setup ## train, register and bring up the stack `local`; does only what is missing
	@$(PYTHON) -m delivery.up

down: env ## remove what `make up` has started; models and state stay
	@./pulumiw destroy --stack local --yes --skip-preview
	@$(PYTHON) -m provider.leftovers

plan: env ## plan an environment with no cloud account: make plan ENV=prod [SINCE=a git commit [PROGRAM=1]]
	@$(PYTHON) -m planning $(ENV) $(if $(SINCE),--since $(SINCE)) $(if $(PROGRAM),--program)

review: env ## say what the working tree changes in a stack: make review ENV=local [SINCE=a git commit: no account]
	@$(PYTHON) -m $(if $(SINCE),planning.review $(ENV) --since $(SINCE),delivery review --stack $(ENV)) $(REVIEW)

test: setup ## run every test but those of test-cluster and test-image, two files at a time
	@. tools/python.sh; "$$python" -m tools.toolchain promtool amtool > /dev/null
	@$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-fast: env ## run the tests that start nothing: a minute and a quarter
	@$(PYTHON) -m pytest -m "not real" -n 2 --dist worksteal --hypothesis-profile fast $(TESTS)

test-cluster: setup ## run the Kubernetes platform against a real control plane: minutes, 15 more to build it once
	@. tools/python.sh; "$$python" -m tools.toolchain kubernetes kubernetes-provider
	@$(PYTHON) -m pytest -m cluster tests/cluster $(TESTS)

test-image: setup ## build the images, push and run them, on a Docker engine of the tests' own; as root
	@$(PYTHON) -m pytest -m image tests/image $(TESTS)

check: env ## lint, format and types, of the workflows too
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m pyright
	@$(if $(filter azure,$(WITH)),$(PYTHON) -m pyright --project components/azure,:)
	@. tools/python.sh; "$$python" -m tools.toolchain actionlint > /dev/null
	@.delivery/toolchain/bin/actionlint -shellcheck= -pyflakes=
	@.venv/bin/zizmor --offline --quiet .github/workflows

clean: ## delete what was built and trained: toolchain, state, models (run `make down` first)
	@. tools/python.sh; "$$python" -m tools.clean
