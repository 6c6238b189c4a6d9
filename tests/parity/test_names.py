"""Released weights under our names and back."""

import torch
from safetensors.torch import load_file

from tests.parity.models import KINDS, conversion, read_config, released_weights

TOKENS = 'sem_seg_head.predictor.clip_model.token_embedding.weight'  # drawn by a recipe, not recorded


def test_the_recorded_weights_come_back_as_they_were(parity_folder, repository, tmp_path):
    for kind in KINDS:
        weights = released_weights(parity_folder, kind)
        cfg = read_config(repository, kind, tmp_path / kind, ['wet grass', 'a red barn'])
        converted = conversion.weights_of(conversion.convert(cfg, weights))
        back = conversion.to_released(converted, split_projections=kind == 'catseg')
        recorded = load_file(parity_folder / f'{kind}_released_format.safetensors')
        unused = {name for name in recorded if name.endswith(('.attn_mask', '.logit_scale'))}
        assert back.keys() == (recorded.keys() - unused) | {TOKENS}
        for name in recorded.keys() - unused:
            torch.testing.assert_close(back[name], weights[name], rtol=0, atol=1e-6)
