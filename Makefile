# `make demo` and `make test` need Python 3.11 to 3.13 and nothing else; `make help` lists the rest.
# Each target runs commands that work without make too (docs/install.md): logic belongs into the package.

UV_VERSION := 0.13.8
ACTIONLINT_VERSION := 1.7.12
DATABRICKS_VERSION := 0.298.0

# What `make install` brings: sail, or databricks where an environment lives in a workspace. Empty, as a CI's variable that
# nobody set, is sail. databricks-connect is for one Python alone, that of the workspace's compute.
override ENGINE := $(or $(ENGINE),sail)
ifeq ($(ENGINE),databricks)
PYTHONS := 3.12
FITS := import sys; sys.exit(sys.version_info[:2] != (3, 12))
else
PYTHONS := 3.11, 3.12 or 3.13
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
endif

# The interpreter is this machine's own (uv would otherwise download one, unasked): the first that fits.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	"$$python" -c '$(FITS)' 2>/dev/null && exec "$$python" -c 'import sys; print(sys._base_executable)'; done)
endif
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV

# A uv on PATH is used if it can read this project (`required-version`); otherwise the pinned one goes into .tools/.
UV := $(if $(shell uv cache dir 2>/dev/null),uv,.tools/uv-$(UV_VERSION)/bin/uv)
# Tests of one file share what it sets up, so they stay with one process.
PARALLEL := -n auto --dist loadfile
# The hosted machines of GitHub and Azure have every Python and Java: to skip there would be green for nothing.
MISSED := $(if $(GITHUB_ACTIONS)$(TF_BUILD),exit 1;)
RUN = UV_PYTHON='$(PYTHON)' $(UV) run --locked

# actionlint comes as Go source only: built where there is a Go, as on every hosted runner.
ACTIONLINT := $(if $(shell go version 2>/dev/null),.tools/actionlint-$(ACTIONLINT_VERSION)/actionlint,$(shell command -v actionlint 2>/dev/null))

# The Databricks CLI: one on PATH is used. The last that is published as Go source is built otherwise, for the tests.
DATABRICKS := $(if $(filter Databricks,$(shell databricks --version 2>/dev/null)),databricks,$(if $(shell go version 2>/dev/null),.tools/databricks-$(DATABRICKS_VERSION)/databricks))

.DEFAULT_GOAL := help
.NOTPARALLEL: # tests use all cores by themselves
.PHONY: help demo install test test-unit test-integration test-slow test-template test-pythons test-jvm test-jvm-unit test-jvm-tables full-spark lint lint-code lint-workflows lint-github lint-azure format databricks-cli clean ready python

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

# Compiled when it is installed, as pip does: else the first run compiles what it imports, and its clean process again.
demo: ready ## The whole story on real data: three environments, from raw rows to a monitored model
	@UV_COMPILE_BYTECODE=1 $(RUN) gatehouse demo

install: ready ## The command `gatehouse` in .venv/, with exactly the locked dependencies; ENGINE=databricks for a workspace
	@UV_PYTHON='$(PYTHON)' $(UV) sync --locked --no-default-groups --group dev --group '$(ENGINE)'

# In one go: what two of them load twice takes seconds.
test: ready ## The tests of two minutes, on the engine that needs no Java
	@$(RUN) pytest $(PARALLEL) -m 'not slow' tests/unit tests/integration

test-unit: ready ## Pure code, and what it asks of an engine
	@$(RUN) pytest $(PARALLEL) -m 'not slow' tests/unit

test-integration: ready ## The ports on real storage, and whole pipelines on a throw-away lakehouse
	@$(RUN) pytest $(PARALLEL) -m 'not slow' tests/integration

test-slow: ready $(if $(wildcard tests/template),full-spark $(filter .tools/%,$(DATABRICKS))) ## Simulations, year-long data, killed processes, every way through the gates, mutations
	@$(RUN) pytest $(PARALLEL) -m slow tests/unit tests/integration $(wildcard tests/template)

test-template: ready $(if $(wildcard tests/template),full-spark $(filter .tools/%,$(DATABRICKS))) ## What proves the template itself: workflows compared, and run as on GitHub
	@$(if $(wildcard tests/template),$(RUN) pytest $(PARALLEL) -m 'not slow' tests/template,echo "This project left the template's own tests behind.")

test-pythons: test-python-3.11 test-python-3.12 test-python-3.13 ## Unit tests on every other supported Python found here

# Found also when not on PATH: pyenv's, and those that GitHub's and Azure's hosted machines keep ready.
test-python-%: ready
	@if '$(PYTHON)' -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$*")'; then \
		echo "Python $*: what make test runs on."; \
	elif found=$$(PATH="$$PATH:$$(echo $$HOME/.pyenv/versions/$*.*/bin $$AGENT_TOOLSDIRECTORY/Python/$*.*/*/bin | tr ' ' ':')" \
			$(UV) python find --no-project $* 2>/dev/null); then \
		echo "Python $*: $$found"; \
		UV_PYTHON="$$found" UV_PROJECT_ENVIRONMENT=.venv-$* $(UV) run --locked pytest $(PARALLEL) -m 'not slow' tests/unit; \
	else \
		echo "Python $*: SKIPPED, not found on this machine."; $(MISSED) \
	fi

test-jvm: ready ## Unit tests and the contract of tables on Spark on the JVM, where there is a Java
	@$(call on_jvm,tests/unit tests/integration/lakehouse)

# The halves of test-jvm, for two machines at once.
test-jvm-unit: ready
	@$(call on_jvm,tests/unit,$(MISSED))

test-jvm-tables: ready
	@$(call on_jvm,tests/integration/lakehouse,$(MISSED))

define on_jvm
if java -version >/dev/null 2>&1; then \
	UV_PROJECT_ENVIRONMENT=.venv-jvm $(RUN) --no-default-groups --group dev --group jvm \
		pytest $(PARALLEL) -m 'spark and not slow' --engine jvm $(1); \
else \
	echo "Engine jvm: SKIPPED, it needs Java 17 or 21, and no java runs here."; $(2) \
fi
endef

# The Spark of the emulated workspace, in its own process: tests of the template skip what needs it where there is no JDK.
full-spark: ready
	@if java -version >/dev/null 2>&1 && javac -version >/dev/null 2>&1; then \
		UV_PYTHON='$(PYTHON)' UV_PROJECT_ENVIRONMENT=.venv-jvm $(UV) sync --quiet --locked --no-default-groups --group dev --group jvm; \
	fi

lint: lint-code lint-workflows ## Style, types, workflows

lint-code: ready
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy

# A project has the files of the providers that it chose.
lint-workflows: ready $(if $(wildcard .github),lint-github) $(if $(wildcard .azure-pipelines),lint-azure)
	@$(RUN) sh -c 'if command -v shellcheck >/dev/null; then shellcheck .ci/run; else echo "shellcheck: SKIPPED, not found."; fi'
	@$(RUN) pre-commit validate-config

lint-github: ready $(filter .tools/%,$(ACTIONLINT))
	@$(RUN) zizmor --quiet --offline --strict-collection --persona auditor .github
	@$(if $(ACTIONLINT),$(RUN) $(ACTIONLINT),echo "actionlint: SKIPPED, neither it nor a Go to build it with was found.")
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml

# The published schema knows no templates of variables; the tests read that one.
lint-azure: ready
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.azure-pipelines --regex-variant nonunicode \
		--data-transform azure-pipelines $$(find .azure-pipelines -name '*.yml' ! -path '*/templates/workspace.yml' ! -path '*/templates/settings.yml')

format: ready ## Put the code into shape
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

databricks-cli: $(filter .tools/%,$(DATABRICKS)) ## The Databricks CLI for the tests of the bundle, unless it is on PATH
	@$(if $(DATABRICKS),$(DATABRICKS) --version,echo "Neither the Databricks CLI nor a Go to build it with was found." >&2; exit 1)

clean: ## Remove environments, tools and caches; the lakehouse stays (`gatehouse reset` is for that)
	rm -rf .venv .venv-* .tools dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready: python $(filter .tools/%,$(UV))

python:
ifeq ($(PYTHON),)
	@echo "Gatehouse needs Python $(PYTHONS), and none of them answers on this machine." >&2
	@echo "Next: install one (apt install python3, brew install python@3.12) or name it: make test PYTHON=/path/to/python3" >&2
	@exit 1
endif

.tools/uv-$(UV_VERSION)/bin/uv:
	@echo "Installing uv $(UV_VERSION) into .tools/"
	@'$(PYTHON)' -m venv .tools/uv-$(UV_VERSION)
	@.tools/uv-$(UV_VERSION)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.tools/actionlint-$(ACTIONLINT_VERSION)/actionlint:
	@echo "Building actionlint $(ACTIONLINT_VERSION) into .tools/"
	@GOBIN="$(CURDIR)/$(@D)" go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)

# `go install` refuses this module for its replacements; as a dependency of an empty one it builds.
.tools/databricks-$(DATABRICKS_VERSION)/databricks:
	@echo "Building the Databricks CLI $(DATABRICKS_VERSION) into .tools/: minutes, once"
	@rm -rf $(@D) && mkdir -p $(@D)/source && cd $(@D)/source && go mod init tools 2>/dev/null \
		&& go mod edit -require=github.com/databricks/cli@v$(DATABRICKS_VERSION) \
		&& printf 'package tools\n\nimport _ "github.com/databricks/cli/cmd"\n' > tools.go \
		&& GOFLAGS=-mod=mod go build -o ../databricks \
			-ldflags '-X github.com/databricks/cli/internal/build.buildVersion=$(DATABRICKS_VERSION)' github.com/databricks/cli
