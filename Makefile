# make demo    the main job: a download that goes on while the path under it is taken away
# make handover  the same, and draws it anew as docs/handover.svg
# make test    linters, type checkers and the test suite, then the suite once more against a wheel with
#              the protocol core compiled, if there is a C compiler
# make lint    only the linters and type checkers
# make compiled       build a wheel with the protocol core compiled, install it in .venv-compiled
# make test-compiled  only the tests with that
# make pytest  only the tests with plain Python, all of them
# make test-all       the tests with plain Python, with each version of Python that is found
# make coverage       which lines and branches the tests run, as a page in coverage/
# make mutants        which small changes of the core the tests do not notice
# make hooks          has git run the quick checks before each commit
# make news           what changes/ will add to CHANGELOG.md
# make sdist          the source distribution, and the whole suite from what it unpacks to
# make series  the long series that the suite plays in part: all seeds of the simulation, all orders
#              of preferred addresses, and a cancellation at every moment of every call
# make joined  batches of datagrams of every size that nobody has authenticated, against the core
# make bench   speed, handshakes, memory and more beside other clients (docs/benchmarks.md)
# make chroots  servers of newer Debian releases (nginx, haproxy, caddy, ngtcp2's), for tests that are
#              skipped without them (needs root); `make nginx` is the same
# make picoquic  picoquic in an environment of its own (needs Python >= 3.12), for the same reason
# make interop  all servers that are here against everything that a client wants of one, and writes
#              docs/interop.md (needs root for the half of it); INTEROP takes options
# make lab     handovers over real interfaces, measured beside what they may cost (needs root)
# make vpn-lab  100 connections through each kind of VPN, and what leaves beside it (needs root)
# make floods  what each kind of flood makes a client hold, send and compute (docs/testing.md)
# make docs    draw the generated parts of the documentation anew, and build it into docs/build
#
# All of them set up .venv by themselves; a Python >= 3.11 and make are enough.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
VERSIONS ?= 3.11 3.12 3.13 3.14 3.14t
PACKAGES := ngtcp2-server ngtcp2-client caddy iproute2
# The tests start hundreds of programs, each of which would compile the package to bytecode anew.
unexport PYTHONDONTWRITEBYTECODE
# The tree itself stays plain Python: a compiled module would go stale with the next edit.
PIP_INSTALL := TRIOQUIC_PURE_PYTHON=1 $(BIN)/python -m pip --disable-pip-version-check --quiet install
COMPILED ?= .venv-compiled
COMPILED_PIP := $(COMPILED)/bin/python -m pip --disable-pip-version-check --quiet
# A C compiler, and Python's headers for it
CAN_COMPILE := $(shell command -v cc >/dev/null && test -e "$$($(PYTHON) -c \
	'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" && echo yes)

.PHONY: hooks news coverage mutants sdist test-all inventories floods series compiled \
	test-compiled test-plain demo handover test lint bench bench-compiled bench-plain lab \
	chroots nginx interop picoquic vpn-lab joined docs servers pytest html clean

demo: $(VENV)/demo.stamp
	$(BIN)/python -m examples.demo

handover: $(VENV)/demo.stamp
	$(BIN)/python -m examples.demo --megabytes 20 --picture docs/handover.svg

# Compiling takes one processor for minutes; the other one checks and tests meanwhile. What is left
# out in one variant runs in the other (docs/testing.md).
test: $(VENV)/dev.stamp servers
ifeq ($(CAN_COMPILE),yes)
	$(MAKE) --no-print-directory -j2 test-plain compiled
	$(MAKE) --no-print-directory test-compiled
else
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory pytest
	@echo "no C compiler: the compiled variant was not tested"
endif

# basedpyright looks for packages with the interpreter that it finds first, and does not follow an
# editable installation to the source.
lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin trioquic
	$(BIN)/mypy --platform win32 trioquic
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH="$(CURDIR)" \
		basedpyright --verifytypes trioquic --ignoreexternal
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(MAKE) --no-print-directory html

test-plain: lint
	$(MAKE) --no-print-directory pytest SELECTED='-m "not compiled"'

pytest: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(SELECTED)

compiled: $(COMPILED)/stamp

# One worker more: the lab mostly waits for its links.
test-compiled: $(COMPILED)/stamp servers
	cd $(COMPILED)/run && TRIOQUIC_EXPECT=compiled ../bin/python -m pytest -n $$(($(WORKERS) + 1)) \
		--dist worksteal -p no:cacheprovider -m "not plain"

# The compiler checks types, too, perhaps at the same time as `lint`, so its cache is another one.
# Python imports from the folder it runs in, so tests and benchmarks get one without the package.
$(COMPILED)/stamp: pyproject.toml setup.py $(shell find trioquic -name '*.py')
	rm -rf $(COMPILED) build
	$(PYTHON) -m venv $(COMPILED)
	MYPY_CACHE_DIR=$(abspath $(COMPILED))/mypy-cache \
		$(COMPILED_PIP) wheel --no-deps --wheel-dir $(COMPILED)/wheel .
	$(COMPILED_PIP) install "$$(echo $(COMPILED)/wheel/trioquic-*.whl)[bench,test]"
	mkdir -p $(COMPILED)/run
	ln -sfn $(addprefix $(CURDIR)/,tests docs examples benchmarks pyproject.toml README.md CHANGELOG.md) $(COMPILED)/run/
	@touch $@

# With a C compiler from an installed wheel, which holds both variants; else the plain one only.
# BENCH takes options, such as BENCH="--only download upload --rounds 3".
bench: servers
	$(MAKE) --no-print-directory $(if $(CAN_COMPILE),bench-compiled,bench-plain)

bench-compiled: $(COMPILED)/stamp
	cd $(COMPILED)/run && ../bin/python -m benchmarks $(BENCH)

bench-plain: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(BENCH)

# INTEROP="--only retry,down --servers nginx1" runs a part, and the rest of the table stays.
interop: $(VENV)/dev.stamp servers
	$(BIN)/python -m tests.interop $(INTEROP)

lab: $(VENV)/dev.stamp servers
	$(BIN)/python -m tests.lab

series: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --series tests/simulation tests/supervisor \
		tests/cancellation tests/httpx/test_cancellation.py tests/httpx/test_early_data.py \
		tests/lab/test_handover.py tests/lab/test_preferred_orders.py tests/preferred \
		tests/runtime/test_stream_contract.py tests/chains

joined: $(VENV)/dev.stamp
	$(BIN)/python -m tests.attacks.joined

vpn-lab: $(VENV)/dev.stamp servers
	$(BIN)/python -m tests.lab.vpn
	$(BIN)/python -m tests.lab.vpn_attacks

floods: $(VENV)/dev.stamp
	$(BIN)/python -m tests.floods

# Newer servers than this system has, outside the tree; some minutes and 800 MB.
chroots nginx: $(VENV)/dev.stamp
	command -v debootstrap >/dev/null || apt-get -qq install --yes debootstrap
	$(BIN)/python -m tests.servers.chroots

# The package brings its own library, so there is nothing to compile; 40 MB.
picoquic: $(VENV)/dev.stamp
	$(BIN)/python -m tests.servers.picoquic

docs: $(VENV)/dev.stamp
	$(BIN)/python -m tests.documents
	$(MAKE) --no-print-directory html

hooks: $(VENV)/chores.stamp
	$(BIN)/pre-commit install

news: $(VENV)/chores.stamp
	$(BIN)/python -m towncrier build --draft --version next

# Each version in an environment of its own, .venv.3.12 and so on. pyenv's are found where they lie.
test-all: servers
	@failed=; for v in $(VERSIONS); do \
		found=; for p in python$$v "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/*/bin/python$$v; do \
			"$$p" -c 'import venv' 2>/dev/null && found=$$p && break; done; \
		if [ -z "$$found" ]; then echo "Python $$v: not found"; continue; fi; \
		echo "Python $$v: $$found"; \
		$(MAKE) --no-print-directory PYTHON="$$found" VENV=.venv.$$v pytest || failed="$$failed $$v"; done; \
	test -z "$$failed" || { echo "failed with Python$$failed" >&2; exit 1; }

# The floor is for the whole suite, so a part (SELECTED=tests/path) has none.
coverage: $(VENV)/chores.stamp servers
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n $(WORKERS) --dist worksteal $(SELECTED)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage html --quiet --fail-under=0
	$(BIN)/python -m coverage report $(if $(SELECTED),--fail-under=0)

# Hours for all of them; MUTANTS='trioquic._protocol.recovery.rtt*' are those of one file. A copy of
# the tree in mutants/ is what is changed, and remembers what was tried. What to do about those that
# survive: docs/testing.md.
mutants: $(VENV)/chores.stamp
	$(BIN)/mutmut run --max-children $(WORKERS) $(if $(MUTANTS),'$(MUTANTS)')
	$(BIN)/mutmut results | grep -v 'not checked'

# A fresh tree without git, with an environment of its own; what is skipped is counted at the end.
sdist: $(VENV)/chores.stamp
	rm -rf build/sdist
	$(BIN)/python -m build --quiet --sdist --outdir build/sdist .
	tar -C build/sdist -xzf build/sdist/trioquic-*.tar.gz
	$(MAKE) -C build/sdist/trioquic-*/ --no-print-directory pytest

# Without network; a warning is an error.
html: $(VENV)/dev.stamp
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/build

# What other projects' pages have to refer to, for `html`; needs the network.
inventories: $(VENV)/dev.stamp
	$(BIN)/python -m tests.documentation.inventories

# The stamps are newer than pyproject.toml once the environment fits it.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "trioquic needs Python >= 3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/demo.stamp

# What `make test` has no use for
$(VENV)/chores.stamp: $(VENV)/dev.stamp
	$(PIP_INSTALL) --editable '.[chores]'
	@touch $@

# Other people's servers to test against. Without root or apt, or when a package is not to be had,
# the tests that need them are skipped, and the summary counts those.
servers: | $(VENV)/bin/python
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' "$$p" 2>/dev/null | grep -q 'ok installed' \
		|| missing="$$missing $$p"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		export DEBIAN_FRONTEND=noninteractive; \
		exec </dev/null 3>&1 >$(VENV)/apt.log 2>&1; \
		apt-get -qq update || echo "apt-get update failed" >&3; \
		for p in $$missing; do \
			apt-get -qq install --yes --no-install-recommends "$$p" \
			|| echo "could not install $$p, see $(VENV)/apt.log" >&3; done; \
	fi

clean:
	rm -rf $(VENV) .venv.* $(COMPILED) .coverage* coverage mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis build docs/build ./*.egg-info
