# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Every target prepares by itself what it needs; see scripts/prepare.sh.

SHELL := /bin/bash
# Some images set this, and each of half a dozen processes would compile all that it imports, each time.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

# Further arguments of the command that a target runs, as in `make demo ARGS="--rate 5"`.
ARGS ?=

# A shell that knows the environment and both built packages. The wheels of ROS 2 set this variable
# for their own child processes; inherited from elsewhere it keeps rclpy from being found.
ENTER = unset _ROS_WHEELS_BOOTSTRAP_COMPLETE && source .venv/setup.bash && source install/setup.bash

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 16

.PHONY: demo
demo: prepare ## Play a simulated scene through the real nodes; ARGS are the demo's.
	@$(ENTER) && exec python -m quantv2x_ros demo $(ARGS)

.PHONY: test
test: prepare-test ## Run all tests with colcon and show the results; ARGS are pytest's.
	@$(ENTER) && exec python scripts/run_tests.py $(ARGS)

.PHONY: lint
lint: prepare-test ## Check style and types.
	@$(ENTER) && ruff check . && ruff format --check . && mypy

.PHONY: format
format: prepare-test ## Put the code into the common format.
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

.PHONY: build
build: prepare ## Prepare the environment and build both packages, nothing more.

.PHONY: clean
clean: ## Remove all that was prepared, downloaded packages included.
	rm -rf .venv build install log .cache

.PHONY: prepare prepare-test
prepare:
	@scripts/prepare.sh runtime
prepare-test:
	@scripts/prepare.sh test
