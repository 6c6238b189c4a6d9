# make demo   the main job on a small procedural sky: data, training, evaluation, prediction, a figure
# make test   lint, types and tests
# make docs   the documentation, in docs/_build/html
# make linkcheck   whether the links in it lead somewhere
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

.PHONY: help install demo test docs linkcheck clean

help:
	@sed -n '1,6s/^# \?//p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable '.[all]'
	@touch $@

demo: install
	$(BIN)/python -W ignore tools/make_sky.py $(DEMO)/sky --num-images 400 --size 192 --val-fraction 0.1 --workers 2
	$(BIN)/python -W ignore tools/train.py $(CONFIG) --work-dir $(DEMO)/train --cfg-options $(DEMO_DATA) $(DEMO_SCHEDULE)
	$(BIN)/python -W ignore tools/test.py $(CONFIG) $(DEMO)/train/epoch_$(EPOCHS).pth --work-dir $(DEMO)/test \
		--show-dir $(DEMO)/figures --cfg-options $(DEMO_DATA)
	$(BIN)/python -W ignore tools/predict.py $(CONFIG) $(DEMO)/train/epoch_$(EPOCHS).pth $(DEMO)/sky/images/0000[0-1]*.png \
		--prompts "clear sky" "heaped fair-weather clouds" "thin icy streaks" "grey layer" obstruction \
		--out-dir $(DEMO)/predictions
	$(BIN)/python -W ignore tools/predict.py hyperclip-unet-cloud $(DEMO)/sky/images/0000[0-1]*.png --threshold 0.6 \
		--out-dir $(DEMO)/predictions_released
	@echo
	@sed -n '/per class results/,/aAcc/p' "$$(ls -t $(DEMO)/test/*/*.log | head -n 1)" | sed 's/^.*INFO - //'
	@echo
	@echo "Predictions by prompts, with summary.csv: $(DEMO)/predictions"
	@echo "The same pictures by the model that comes with the package: $(DEMO)/predictions_released"
	@echo "Input, ground truth, prediction, radius and legend: $$(ls $(DEMO)/figures/vis_data/vis_image/test_*.png | head -n 1)"

test: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --numprocesses logical --dist worksteal

docs: install
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

linkcheck: install
	$(BIN)/sphinx-build -b linkcheck docs docs/_build/linkcheck

clean:
	rm -rf $(DEMO) docs/_build docs/_figures build dist
