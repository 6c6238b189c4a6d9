"""Ids of label files of the sky: positions in hyperbolic_seg/sky/vocabularies/sky.yaml, and its label sets."""

CLEAR_SKY, CLOUD, NOT_SKY, OBSTRUCTION, OUTSIDE_THE_LENS = 0, 1, 16, 18, 19
BUILDING, TREE, TERRAIN, STRUCTURE = 22, 23, 24, 25
SKY = 125
"""Clear sky, cloud, sun or moon: what sets of sky against not sky call sky."""
