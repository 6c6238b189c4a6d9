# make demo   the main job on a small procedural sky: data, training, evaluation, prediction, a figure
# make test   all checks
# Both set up what they need in .venv; PYTHON names the interpreter (3.10 to 3.12).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORK := outputs/demo
CONFIG := configs/hyperclip_unet_cloud.py
EPOCHS := 4

.PHONY: help install demo test lint docs clean

help:
	@sed -n '1,3p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[all]'
	@touch $@

demo: install
	$(BIN)/python tools/make_sky.py $(WORK)/sky --num-images 320 --size 192 --val-fraction 0.1 --workers 2
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(WORK)/train --cfg-options $(DEMO_DATA) \
		train_cfg.max_epochs=$(EPOCHS) param_scheduler.1.T_max=$(EPOCHS) param_scheduler.1.end=$(EPOCHS)
