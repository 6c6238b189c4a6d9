#!/usr/bin/env bash
# Check the wheels of the code and of the weights as a user would use them, away from the repository:
#   tools/check_wheel.sh            builds the wheels of this checkout
#   tools/check_wheel.sh dist       takes the wheels in a folder
# PYTHON names the interpreter, python3 if it is not given.
# DEPENDENCIES names an environment, such as .venv, whose packages stand in for a download: nothing is fetched then.
set -euo pipefail
python=${PYTHON:-python3}
checkout=$(cd "$(dirname "$0")/.." && pwd)
given=${1:+$(cd "$1" && pwd)}
borrowed=
if [ -n "${DEPENDENCIES:-}" ]; then
    python=$(cd "$DEPENDENCIES" && pwd)/bin/python
    borrowed=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
fi
work=$(mktemp -d)
trap 'cd / && rm -rf "$work"' EXIT
cd "$work"
mkdir wheels

if [ -n "$given" ]; then
    cp "$given"/*.whl wheels
else
    # A copy is built, since a build of the checkout itself would replace the links of its editable installation.
    mkdir source
    git -C "$checkout" ls-files -z --cached --others --exclude-standard | "$python" -c '
import shutil, sys
from pathlib import Path

checkout, copy = map(Path, sys.argv[1:])
for name in sys.stdin.buffer.read().decode().split("\0"):
    if name and (checkout / name).is_file():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkout / name, copy / name)
' "$checkout" source
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps ${borrowed:+--no-build-isolation} \
        --wheel-dir wheels ./source ./source/weights/cloud ./source/weights/sky
fi

"$python" - wheels <<'END'
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

LICENSES = {
    'hyperbolic-seg': 'Apache-2.0',
    'hyperbolic-seg-weights-cloud': 'CC-BY-NC-4.0',
    'hyperbolic-seg-weights-sky': 'Apache-2.0',
}
TITLES = {'Apache-2.0': 'Apache License', 'CC-BY-NC-4.0': 'Attribution-NonCommercial 4.0 International'}
found = {}
for path in sorted(Path(sys.argv[1]).glob('*.whl')):
    with ZipFile(path) as wheel:
        names = wheel.namelist()
        [info] = [name for name in names if name.endswith('.dist-info/METADATA')]
        metadata = message_from_bytes(wheel.read(info))
        folder = info.removesuffix('METADATA')
        texts = [wheel.read(f'{folder}licenses/{name}').decode() for name in metadata.get_all('License-File') or ()]
    weights = [name for name in names if name.endswith('.safetensors')]
    found[metadata['Name']] = metadata['License-Expression']
    if not any(TITLES.get(metadata['License-Expression'], 'no title') in text for text in texts):
        sys.exit(f'{path.name} does not hold the text of its license, {metadata["License-Expression"]}')
    expected = int(metadata['Name'].startswith('hyperbolic-seg-weights-'))
    if len(weights) != expected:
        sys.exit(f'{path.name} holds the weights {weights}: expected {expected}, as weights have their own licenses')
    print(f'{path.name}: {metadata["License-Expression"]}, {len(names)} files, {path.stat().st_size / 1e6:.1f} MB')
if found != LICENSES:
    sys.exit(f'the wheels have the licenses {found}: expected {LICENSES}')
END

"$python" -m venv environment
bin=environment/bin
[ -d "$bin" ] || bin=environment/Scripts
install() {
    "$bin/python" -m pip install --quiet --disable-pip-version-check ${borrowed:+--no-deps} "$@"
}
if [ -n "$borrowed" ]; then
    site=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$borrowed" > "$site/borrowed.pth"  # comes after the wheels, and without its editable installations
fi
code=$(cd wheels && echo "$PWD"/hyperbolic_seg-[0-9]*.whl)
install "hyperbolic-seg[mmseg,offline,app] @ $("$bin/python" -c \
    'import pathlib, sys; print(pathlib.Path(sys.argv[1]).as_uri())' "$code")"

echo 'Without weights'
"$bin/hyperbolic-seg" doctor
"$bin/hyperbolic-seg" vocab sky --draw tree.png > tree.txt
"$bin/python" - > log.txt <<'END'
import warnings
from pathlib import Path

import cv2

import hyperbolic_seg
from hyperbolic_seg import HyperSegInferencer, list_models
from hyperbolic_seg.sky.renderer import render_sky

warnings.simplefilter('ignore')
image = render_sky(0, 256).image
cv2.imwrite('sky.png', image)
assert list_models(installed=True) == [], list_models(installed=True)
assert HyperSegInferencer('unet_cloud', device='cpu')(image)['predictions'][0]['labels'].shape == (256, 256)
assert Path('tree.png').is_file()
assert 'environment' in Path(hyperbolic_seg.__file__).parts, hyperbolic_seg.__file__
END
predict() {
    "$bin/hyperbolic-seg" predict sky.png --model "$1" --prompts "clear sky, cumulus, cirrus" --out "predictions-$1" --json
}
if predict hyperclip-unet-cloud > refused.txt 2>&1; then
    echo 'hyperclip-unet-cloud works without its weights' >&2
    exit 1
fi
tr '\n' ' ' < refused.txt | tr -s ' ' | grep -q 'pip install hyperbolic-seg-weights-cloud' || { cat refused.txt >&2; exit 1; }

echo 'With weights'
install wheels/hyperbolic_seg_weights_*.whl
"$bin/hyperbolic-seg" doctor
for model in hyperclip-unet-cloud hyperclip-unet-sky; do
    predict "$model" | tee "$model.json"
done
"$bin/python" - <<'END'
import json
from pathlib import Path

import hyperbolic_seg

for name in hyperbolic_seg.list_models(installed=True):
    record = json.loads(Path(f'{name}.json').read_text())
    assert abs(sum(record['fractions'].values()) - 1) < 1e-6, record
    assert Path(record['files']['labels']).is_file(), record
assert len(hyperbolic_seg.list_models(installed=True)) == 2
print(f'hyperbolic_seg {hyperbolic_seg.__version__} works from its wheel, with and without the wheels of the weights')
END
