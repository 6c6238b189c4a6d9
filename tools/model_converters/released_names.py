"""Weights of CAT-Seg and HyperCLIP under their released names and under those of this library, both ways."""

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]

_CLIP = 'sem_seg_head.predictor.clip_model.'
_AGGREGATOR = 'sem_seg_head.predictor.transformer.'
_OURS = 'decode_head.aggregation.'
# Prefixes of names, released and ours; the first that fits counts.
_PREFIXES = [
    (f'{_CLIP}visual.', 'backbone.visual.'),
    (_CLIP, 'decode_head.text.tower.tower.'),
    ('upsample1.', f'{_OURS}fine.0.0.'),
    ('upsample2.', f'{_OURS}fine.1.0.'),
    (f'{_AGGREGATOR}conv1.', f'{_OURS}embed.'),
    (f'{_AGGREGATOR}guidance_projection.0.', f'{_OURS}image.0.'),
    (f'{_AGGREGATOR}text_guidance_projection.0.', f'{_OURS}text.0.'),
    (f'{_AGGREGATOR}decoder_guidance_projection.0.0.', f'{_OURS}fine.0.1.'),
    (f'{_AGGREGATOR}decoder_guidance_projection.1.0.', f'{_OURS}fine.1.1.'),
    (f'{_AGGREGATOR}decoder1.up.', f'{_OURS}up.0.up.'),
    (f'{_AGGREGATOR}decoder2.up.', f'{_OURS}up.1.up.'),
    (f'{_AGGREGATOR}decoder1.conv.double_conv.', f'{_OURS}up.0.refine.'),
    (f'{_AGGREGATOR}decoder2.conv.double_conv.', f'{_OURS}up.1.refine.'),
    (f'{_AGGREGATOR}head.', f'{_OURS}head.'),
]
# The same for a layer of the aggregation; {} is its number.
_OF_LAYERS = [
    ('layers.{}.swin_block.guidance_norm.', 'spatial.{}.norm.'),
    *(
        (f'layers.{{}}.swin_block.block_{block + 1}.{released}', f'spatial.{{}}.blocks.{block}.{ours}')
        for block in (0, 1)
        for released, ours in (
            ('norm1.', 'norm1.'),
            ('norm2.', 'norm2.'),
            ('attn.q.', 'query.'),  # packed below, with keys
            ('attn.k.', 'key.'),
            ('attn.v.', 'value.'),
            ('attn.proj.', 'project.'),
            ('mlp.fc1.', 'mlp.0.'),
            ('mlp.fc2.', 'mlp.2.'),
        )
    ),
    ('layers.{}.attention.attention.q.', 'classwise.{}.query.'),
    ('layers.{}.attention.attention.k.', 'classwise.{}.key.'),
    ('layers.{}.attention.attention.v.', 'classwise.{}.value.'),
    ('layers.{}.attention.norm1.', 'classwise.{}.norm1.'),
    ('layers.{}.attention.norm2.', 'classwise.{}.norm2.'),
    ('layers.{}.attention.MLP.', 'classwise.{}.mlp.'),
    ('layers.{}.attention.padding_guidance', 'classwise.{}.token_guidance'),  # before the next, which begins alike
    ('layers.{}.attention.padding_tokens', 'classwise.{}.token'),
]
_OURS_ALONE = re.compile(r'parametrizations\.|adapter_bank')
"""Parameters of adapters that the released code does not have."""
_UNUSED = re.compile(r'\.block_2\.attn_mask$|^sem_seg_head\.predictor\.clip_model\.logit_scale$')
"""Entries of released files that are no weights, or that nothing reads."""
_PARTS = ('q', 'k', 'v')
# Weights that are packed in one, as patterns of our names, with the parts that belong together.
_TOGETHER = [
    (r'(.*\.hyperbolic_attn\.adapter_attn_)([qkv])(\.weights)', _PARTS),
    (r'(.*\.attn\.)([qkv])(_proj_weight)', _PARTS),
    (r'(.*\.blocks\.\d\.)(query|key)(\.weight|\.bias)', ('query', 'key')),
]
_PACKED = 'parametrizations.in_proj_weight.'


def to_ours(released: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> State:
    """Return released weights under the names of a model of this library.

    Args:
        released: The released weights.
        wanted: The weights of the model, of which names and shapes count. Those of the text bank are left out.

    Raises:
        ValueError: A weight is missing, left over or of another shape; the message lists all of them.
    """
    named, unknown = {}, []
    for name, value in released.items():
        if _UNUSED.search(name):
            continue
        ours = _renamed(name, forward=True)
        if ours is None:
            unknown.append(name)
        else:
            named[ours] = value
    incomplete = _incomplete(named)
    plain = _with_packed_guidance(_with_packed_projections(_without(named, incomplete)))
    found, missing, other = {}, [], []
    for name, own in wanted.items():
        value = _fitted(name, plain)
        if value is None:
            missing.append(name)
        elif value.shape != own.shape:
            other.append(f'{name}: {tuple(value.shape)}, expected {tuple(own.shape)}')
        else:
            found[name] = value.clone()
    left = plain.keys() - {_plain_name(name) for name in wanted} - set(unread_scalings(plain, wanted))
    _complain(missing=[*missing, *incomplete], unknown=[*unknown, *sorted(left)], other=other)
    return found


def unread_scalings(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return the scaling matrices that a model has no place for because it scales some blocks of their tower alone.

    Released towers of 24 blocks have scaling matrices in all of them, and the released code reads those of twelve.

    Args:
        names: Names that weights have here, or released ones.
        wanted: Names of the weights of the model.
    """
    ours = {_scaling_of(name) for name in names} - {None}
    places = {_plain_name(name) for name in wanted if name.endswith('.0.delta')}
    towers = {_tower(name) for name in places}
    return sorted(name for name in ours - places if name is not None and _tower(name) in towers)


def _scaling_of(name: str) -> str | None:
    """Return our name of the scaling matrices that a name belongs to, ``None`` for other weights."""
    if name.endswith('.attn.scaling'):
        return name
    block, inside, _ = name.partition('.hyperbolic_attn.')
    renamed = _renamed(f'{block}.', forward=True) if inside else None
    return None if renamed is None else f'{renamed}attn.scaling'


def _tower(name: str) -> str:
    return name.partition('.transformer.')[0]


def _incomplete(named: Mapping[str, Tensor]) -> list[str]:
    """Return the names of queries, keys and values that lack while others of their layer are there."""
    missing = []
    for name in named:
        for pattern, parts in _TOGETHER:
            if match := re.fullmatch(pattern, name):
                missing += [other for part in parts if (other := match[1] + part + match[3]) not in named]
    return sorted(set(missing))


def _without(named: Mapping[str, Tensor], incomplete: Sequence[str]) -> State:
    """Return weights without the layers of which some part is missing."""
    lost = {_together(name) for name in incomplete}
    return {name: value for name, value in named.items() if _together(name) not in lost}


def _together(name: str) -> str:
    """Return what the names of queries, keys and values of a layer have in common; other names as they are."""
    found = (re.fullmatch(pattern, name) for pattern, _ in _TOGETHER)
    return next((f'{match[1]}*{match[3]}' for match in found if match), name)


def to_released(ours: Mapping[str, Tensor], *, split_projections: bool) -> State:
    """Return the weights of a model of this library under released names.

    Args:
        ours: The weights; those of the text bank and its encoder's identity are left out.
        split_projections: Name queries, keys and values apart, as CAT-Seg does; HyperCLIP has them in one.

    Raises:
        ValueError: A weight has no released name.
    """
    named, unknown = {}, []
    for name, value in _unpacked(ours, split_projections=split_projections).items():
        released = _renamed(name, forward=False)
        if released is None or _OURS_ALONE.search(name):
            unknown.append(name)
        else:
            named[released] = value
    _complain(missing=[], unknown=unknown, other=[])
    return named


def weights_of(state: Mapping[str, Tensor]) -> State:
    """Return the weights of a model without the embeddings of its words, which belong to a vocabulary."""
    kept = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {n: v for n, v in kept.items() if not n.startswith('decode_head.text.') or '.tower.' in n}


def _renamed(name: str, *, forward: bool) -> str | None:
    """Return the name on the other side, ``None`` if there is none."""
    for released, ours in _PREFIXES:
        old, new = (released, ours) if forward else (ours, released)
        if name.startswith(old):
            return new + name.removeprefix(old)
    for released, ours in _OF_LAYERS:
        old, new = (_AGGREGATOR + released, _OURS + ours) if forward else (_OURS + ours, _AGGREGATOR + released)
        if match := re.match(re.escape(old).replace(r'\{\}', r'(\d+)'), name):
            return new.format(match[1]) + name[match.end() :]
    return None


def _with_packed_projections(named: Mapping[str, Tensor]) -> State:
    """Pack queries, keys and values of CLIP in one weight, and their scaling as a difference to the identity."""
    found: State = {}
    for name, value in named.items():
        if match := re.fullmatch(r'(.*\.)hyperbolic_attn\.adapter_attn_q\.weights', name):
            parts = [named[f'{match[1]}hyperbolic_attn.adapter_attn_{part}.weights'] for part in _PARTS]
            scaling = torch.stack(parts)
            found[f'{match[1]}attn.scaling'] = scaling - torch.eye(scaling.shape[-1]).to(scaling)
        elif match := re.fullmatch(r'(.*\.attn\.)q_proj_weight', name):
            found[f'{match[1]}in_proj_weight'] = torch.cat([named[f'{match[1]}{part}_proj_weight'] for part in _PARTS])
        elif not re.search(r'adapter_attn_[kv]\.weights$|\.[kv]_proj_weight$', name):
            found[name] = value
    return found


def _with_packed_guidance(named: Mapping[str, Tensor]) -> State:
    """Pack queries and keys of the aggregation over pixels, apart for features and guidance; flatten its tokens."""
    found: State = {}
    for name, value in named.items():
        if match := re.fullmatch(r'(.*\.blocks\.\d\.)query\.weight', name):
            query, key = value, named[f'{match[1]}key.weight']
            own = query.shape[0]
            found[f'{match[1]}query_key.weight'] = torch.cat([query[:, :own], key[:, :own]])
            found[f'{match[1]}query_key_guidance.weight'] = torch.cat([query[:, own:], key[:, own:]])
        elif match := re.fullmatch(r'(.*\.blocks\.\d\.)query\.bias', name):
            found[f'{match[1]}query_key.bias'] = torch.cat([value, named[f'{match[1]}key.bias']])
        elif re.search(r'\.token(_guidance)?$', name):
            found[name] = value.flatten()
        elif not re.search(r'\.blocks\.\d\.key\.(weight|bias)$', name):
            found[name] = value
    return found


def _plain_name(name: str) -> str:
    """Return the name of a weight without its parametrization."""
    if name.endswith(f'.{_PACKED}0.delta'):
        return name.replace(f'{_PACKED}0.delta', 'scaling')
    return re.sub(r'parametrizations\.(\w+)\.original\d?$', r'\1', name)


def _fitted(name: str, plain: Mapping[str, Tensor]) -> Tensor | None:
    """Return the weight that a parameter of a model takes, ``None`` if there is none."""
    value = plain.get(_plain_name(name))
    part = re.search(r'\.original(\d)$', name)
    return value if value is None or part is None else value.chunk(3)[int(part[1])]


def _unpacked(ours: Mapping[str, Tensor], *, split_projections: bool) -> State:
    """Return weights with queries, keys and values as released files have them, under our prefixes."""
    found: State = {}
    packed: dict[str, dict[int, Tensor]] = {}
    for name, value in ours.items():
        plain = _plain_name(name)
        if plain.endswith('.attn.scaling'):
            block = plain.removesuffix('attn.scaling')
            unit = torch.eye(value.shape[-1]).to(value)
            for part, matrices in zip(_PARTS, value + unit, strict=True):
                found[f'{block}hyperbolic_attn.adapter_attn_{part}.weights'] = matrices
        elif plain.endswith('.attn.in_proj_weight'):
            number = re.search(r'\.original(\d)$', name)
            parts = {int(number[1]): value} if number else dict(enumerate(value.chunk(3)))
            packed.setdefault(plain, {}).update(parts)
        elif match := re.fullmatch(r'(.*\.blocks\.\d\.)query_key\.(weight|bias)', name):
            guidance = ours[f'{match[1]}query_key_guidance.weight'].chunk(2) if match[2] == 'weight' else ((), ())
            for part, rows, of_guidance in zip(('query', 'key'), value.chunk(2), guidance, strict=True):
                joined = torch.cat([rows, of_guidance], 1) if match[2] == 'weight' else rows
                found[f'{match[1]}{part}.{match[2]}'] = joined
        elif re.search(r'\.token(_guidance)?$', name):
            found[name] = value.view(1, 1, -1)
        elif not name.endswith('.query_key_guidance.weight'):
            found[name] = value
    for name, parts in packed.items():
        if not split_projections:
            found[name] = torch.cat([parts[number] for number in range(3)])
            continue
        for number, part in enumerate(_PARTS):
            found[name.replace('in_proj_weight', f'{part}_proj_weight')] = parts[number]
    return found


def _complain(*, missing: list[str], unknown: list[str], other: list[str]) -> None:
    lists = (
        ('missing', missing),
        ('without a counterpart', unknown),
        ('of another shape', other),
    )
    if any(names for _, names in lists):
        lines = [f'{len(names)} weights {what}:\n  ' + '\n  '.join(names) for what, names in lists if names]
        raise ValueError('\n'.join(lines))
