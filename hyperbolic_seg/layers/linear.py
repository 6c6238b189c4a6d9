"""Fully connected layer between hyperbolic spaces: an extension that the models here use only in attention."""

from typing import Any

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import from_hyperplane_distances, mlr_logits
from hyperbolic_seg.layers.curvature import Curvature


class HyperbolicLinear(nn.Linear):
    r"""Hyperbolic fully connected layer (Shimizu, Mukuta and Harada, ICLR 2021); replaces ``nn.Linear``.

    The output is the point whose signed distances to the coordinate hyperplanes are the logits of a hyperbolic
    multinomial logistic regression. Input and output are tangent coordinates. The normals of the regression are
    ``weight / 2``, its offsets ``-bias``. As c approaches 0, the layer becomes :math:`W v + b\,|W|`, row by row,
    so the weights of a trained ``nn.Linear`` without bias can be reused.

    Args:
        in_features: Size of the input vectors.
        out_features: Size of the output vectors.
        bias: Let the hyperplanes move away from the origin.
        c: Initial curvature magnitude.
        learned: Learn the curvature, within a factor of ten of ``c``.
        **kwargs: ``device`` and ``dtype`` of ``nn.Linear``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        c: float = 1.0,
        learned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_features, out_features, bias, **kwargs)
        self.curvature = Curvature(c, learned=learned)

    def reset_parameters(self) -> None:
        """Initialize the weights as ``nn.Linear`` does, and the hyperplanes at the origin."""
        super().reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, v: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features), in float32 under autocast."""
        dtype = torch.promote_types(v.dtype, self.weight.dtype)
        c = self.curvature()
        offset = self.weight.new_zeros(self.out_features) if self.bias is None else -self.bias
        return from_hyperplane_distances(mlr_logits(v, self.weight / 2, offset, c), c).to(dtype)
