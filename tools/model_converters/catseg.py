"""Convert a released CAT-Seg checkpoint (Cho et al., CVPR 2024) to a checkpoint of this library, or back.

python tools/model_converters/catseg.py configs/catseg/catseg_vitb16_384.py model_base.pth catseg_vitb16.pth
"""

import sys

from released_checkpoints import run

if __name__ == '__main__':
    sys.exit(run(description=__doc__.splitlines()[0], split_projections=True))
