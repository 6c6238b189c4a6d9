#!/usr/bin/env bash
# Install a wheel into a clean environment, away from the repository, and use it as a user would:
#   tools/check_wheel.sh dist/hyperbolic_seg-0.1.0-py3-none-any.whl
# PYTHON names the interpreter, python3 if it is not given.
set -euo pipefail
wheel=$(realpath "$1")
work=$(mktemp -d)
trap 'cd / && rm -rf "$work"' EXIT
cd "$work"

"${PYTHON:-python3}" -m venv environment
bin=environment/bin
[ -d "$bin" ] || bin=environment/Scripts
"$bin/python" -m pip install --quiet --disable-pip-version-check "hyperbolic-seg[mmseg,offline,app] @ $("$bin/python" -c \
    'import pathlib, sys; print(pathlib.Path(sys.argv[1]).as_uri())' "$wheel")"

"$bin/hyperbolic-seg" doctor
"$bin/python" - <<'END'
import cv2

from hyperbolic_seg.sky.renderer import render_sky

cv2.imwrite('sky.png', render_sky(0, 256).image)
END
"$bin/hyperbolic-seg" predict sky.png --prompts "clear sky, cumulus, cirrus" --out predictions --json | tee records.json
"$bin/hyperbolic-seg" vocab sky --draw tree.png > tree.txt
"$bin/python" - <<'END'
import json
from pathlib import Path

import hyperbolic_seg

record = json.loads(Path('records.json').read_text())
assert abs(sum(record['fractions'].values()) - 1) < 1e-6, record
assert Path(record['files']['labels']).is_file() and Path('tree.png').is_file()
assert 'environment' in Path(hyperbolic_seg.__file__).parts, hyperbolic_seg.__file__
print(f'hyperbolic_seg {hyperbolic_seg.__version__} works from its wheel')
END
