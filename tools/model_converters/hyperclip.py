"""Convert a released HyperCLIP checkpoint (Peng et al., CVPR 2025) to a checkpoint of this library, or back.

python tools/model_converters/hyperclip.py configs/hyperclip/hyperclip_vitb16_384.py model_final.pth hyperclip.pth
"""

import sys

from released_checkpoints import run

if __name__ == '__main__':
    sys.exit(run(description=__doc__.splitlines()[0], split_projections=False))
