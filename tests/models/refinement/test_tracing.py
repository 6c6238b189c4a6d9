"""The refinement is traced with any number of classes and of kinds, as files whose prompts are inputs need it."""

import torch
from torch import nn

from hyperbolic_seg.models.refinement import Refinement, chain


class Refined(nn.Module):
    """Logits of classes and the kinds of these, as bool, in; refined logits out."""

    refinement = Refinement(guided=dict(radius=1, eps=1e-3), color_likelihood=dict(rounds=2, step=2, temperature=2.0))

    def forward(self, coarse, image, kinds, varied, inside):
        fine = chain.enlarge_logits(coarse, image, self.refinement)
        of_kinds = torch.where(kinds[None, :, :, None, None], fine[:, None], -1e30).logsumexp(2)
        shift = chain.kind_shift(of_kinds, self.refinement, levels=image, inside=inside, varied=varied)
        return fine + shift.index_select(1, kinds.int().argmax(0))


def inputs(of_kinds, varied, side=32):
    generator = torch.Generator().manual_seed(len(of_kinds))
    coarse = torch.randn(2, len(of_kinds), side // 4, side // 4, generator=generator)
    image = torch.rand(2, 3, side, side, generator=generator) * 255
    kinds = torch.tensor(of_kinds) == torch.arange(len(varied))[:, None]
    return coarse, image, kinds, torch.tensor(varied), torch.ones(2, 1, side, side, dtype=torch.bool)


def test_the_number_of_classes_and_of_kinds_is_free():
    classes, kinds = torch.export.Dim('classes', min=2, max=99), torch.export.Dim('kinds', min=2, max=99)
    shapes = ({1: classes}, {}, {0: kinds, 1: classes}, {0: kinds}, {})
    example = inputs([0, 1, 2, 2], [False, True, False])
    program = torch.export.export(Refined(), example, dynamic_shapes=shapes, strict=False).module()
    for given in (example, inputs([0, 1], [False, False]), inputs([0, 0, 1, 2, 3, 1], [True, False, True, True])):
        torch.testing.assert_close(program(*given), Refined()(*given), atol=1e-4, rtol=1e-4)
