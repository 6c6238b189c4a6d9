# make demo   the main job on a small procedural sky: data, training, evaluation, prediction, a figure
# make test   lint, types and all tests; COVERAGE=--cov counts the lines that they run
# make test-fast   the tests without those that take long
# make lint   ruff and mypy
# make format   format the code
# make docs   the documentation, in docs/_build/html
# make linkcheck   follow the links in it
#
# Each sets up what it needs in .venv; PYTHON names the interpreter, 3.10 to 3.12.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := outputs/demo
CONFIG := configs/hyperclip_unet_cloud.py
EPOCHS := 3

# The demo's sky lies in its own folder, and its schedule is short.
DEMO_DATA := $(foreach part,train val test,$(part)_dataloader.dataset.data_root=$(DEMO)/sky)
DEMO_SCHEDULE := train_cfg.max_epochs=$(EPOCHS) param_scheduler.1.T_max=$(EPOCHS) param_scheduler.1.end=$(EPOCHS) \
	train_cfg.val_interval=$(EPOCHS)

# Many images of containers turn off Python's cache of compiled modules, and each start takes 10 seconds longer without.
export PYTHONDONTWRITEBYTECODE :=

PARALLEL := --numprocesses logical --dist worksteal

.PHONY: help install demo format lint test test-fast docs linkcheck clean

help:
	@sed -n '1,9s/^# \?//p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py weights/cloud/pyproject.toml weights/sky/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable '.[all]' \
		--editable weights/cloud --editable weights/sky
	@touch $@

demo: install
	$(BIN)/python -W ignore tools/make_sky.py $(DEMO)/sky --num-images 400 --size 192 --val-fraction 0.1 --workers 2
	$(BIN)/python -W ignore tools/train.py $(CONFIG) --work-dir $(DEMO)/train --cfg-options $(DEMO_DATA) $(DEMO_SCHEDULE)
	$(BIN)/python -W ignore tools/test.py $(CONFIG) $(DEMO)/train/epoch_$(EPOCHS).pth --work-dir $(DEMO)/test \
		--show-dir $(DEMO)/figures --cfg-options $(DEMO_DATA)
	$(BIN)/hyperbolic-seg predict $(DEMO)/sky/images/0000[0-1]*.png --out $(DEMO)/predictions \
		--model $(CONFIG) --weights $(DEMO)/train/epoch_$(EPOCHS).pth \
		--prompts "clear sky, heaped fair-weather clouds, thin icy streaks, gray layer, obstruction"
	$(BIN)/hyperbolic-seg predict $(DEMO)/sky/images/0000[0-1]*.png --out $(DEMO)/predictions_released --threshold 0.6
	@echo
	@echo "Predictions by prompts, with summary.csv: $(DEMO)/predictions"
	@echo "The same images by the released model: $(DEMO)/predictions_released"
	@echo "Input, ground truth, prediction, confidence and legend: $$(ls $(DEMO)/figures/vis_data/vis_image/test_*.png | head -n 1)"

format: install
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q $(PARALLEL) $(COVERAGE)

test-fast: install
	$(BIN)/python -m pytest -q $(PARALLEL) -m 'not slow and not nightly'

docs: install
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

linkcheck: install
	$(BIN)/sphinx-build -b linkcheck docs docs/_build/linkcheck

clean:
	rm -rf $(DEMO) docs/_build docs/_figures build dist
