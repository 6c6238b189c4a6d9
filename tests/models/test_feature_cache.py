"""Features kept between prompts."""

import torch

from hyperbolic_seg.models.segmentors.feature_cache import FeatureCache


def test_known_images_are_not_encoded_again_and_old_ones_are_dropped():
    encoded = []

    def encode(inputs):
        encoded.append(inputs)
        return (inputs * 2, [inputs + 1])

    cache = FeatureCache(max_bytes=2 * 2 * 4 * 12)  # two images with two maps of 12 floats
    one, two, three = (torch.full((1, 3, 2, 2), float(n)) for n in range(3))
    for image in (one, two, one.clone(), three, one):
        doubled, (more,) = cache(encode, image)
        assert torch.equal(doubled, image * 2) and torch.equal(more, image + 1)
    assert len(encoded) == 3 and cache.hits == 2 and len(cache) == 2
    cache(encode, two)
    assert len(encoded) == 4, 'the one used longest ago had gone'
    cache(encode, two.reshape(1, 3, 1, 4))
    assert len(encoded) == 5, 'another shape is another image'


def test_features_beyond_the_limit_are_computed_and_displace_nothing():
    cache = FeatureCache(max_bytes=4 * 12)
    small, large = torch.ones(1, 3, 2, 2), torch.ones(1, 3, 4, 4)
    for image in (small, large, large, small):
        assert torch.equal(cache(lambda inputs: [inputs * 2], image)[0], image * 2)
    assert cache.hits == 1 and len(cache) == 1
