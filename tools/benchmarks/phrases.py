"""Evaluate plain phrases as prompts, each beside the names of the nodes that it means.

    python tools/benchmarks/phrases.py hyperclip-unet-cloud
    python tools/benchmarks/phrases.py hyperclip-unet-cloud --data data/development
    python tools/benchmarks/phrases.py CONFIG CHECKPOINT --half development --smoothing 8 0.05
    python tools/benchmarks/phrases.py hyperclip-unet-cloud --data data/development --coarse
    python tools/benchmarks/phrases.py --words-alone
    python tools/benchmarks/phrases.py --words-alone --phrases tools/benchmarks/second_phrases.yaml

The phrases are those of phrases.yaml or of another file, in the words of everyday, pilots, sailors and photographers.
Each is a prompt beside the names of all other classes, on two kinds of pictures:

- Pixels: pictures of the procedural sky, with seeds that no training has. Reported is the intersection over union of
  the pixels that the phrase gets and those of the nodes that it means.
- Images: held-out images of CCSN (--data), each of one genus, with the prompts of clouds alone. An image gets the
  prompt of most of its pixels. Reported are the intersection over union of the images that the phrase gets and those of
  its nodes, and the share of its images whose level is right.

The same is measured with the names of the nodes in place of the phrase. The ratio is the mean over phrases divided by
the mean over their names. Its 95 % bootstrap interval draws phrases; the intervals of single phrases draw pictures.
Masks do not follow the edges of the picture (test_cfg.guided), which would take half of the time.

--coarse compares the logits of all wordings at once, at the resolution of the head and without the color likelihood:
about a minute of processor time.

--words-alone needs no model: it asks for the node that prompt_smoothing reads by the offline text encoder, and counts
the phrases for which it is one of those that are meant, or below one.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.evaluation import bootstrap
from hyperbolic_seg.models.segmentors import FeatureCache
from hyperbolic_seg.sky import TEMPLATES
from hyperbolic_seg.sky.renderer import render_sky
from hyperbolic_seg.text import Concept, OpenCLIPTextEncoder, PhraseReader, Taxonomy, Vocabulary

PHRASES = Path(__file__).resolve().parent / 'phrases.yaml'
HALVES = ('all', 'development', 'held-out')
SEED = 50_000_000
"""Seed of the first picture, far from those of the trainings, which are below a million."""
PICTURES, SIZE, PER_GENUS = 80, 192, 8
LEVELS = ('high cloud', 'middle cloud', 'low cloud')
SAME_WORDS = 0.5
"""Share of common words above which a phrase is a near copy of another."""
_FILLERS = frozenset(
    ('a', 'an', 'the', 'of', 'in', 'on', 'at', 'to', 'by', 'and', 'or', 'with', 'without', 'for', 'from', 'is', 'it')
)


class Phrase(NamedTuple):
    """A phrase with its meaning."""

    text: str
    nodes: tuple[str, ...]
    group: str
    half: str


class Picture(NamedTuple):
    """A picture with the id of the true node, at every pixel (H, W) or, as one number, of the whole."""

    image: NDArray[np.uint8]
    truth: NDArray[np.integer]


class Answer(NamedTuple):
    """A prediction: whether the wording gets a pixel, (H, W), and the node meant by the prompt of most pixels."""

    found: NDArray[np.bool_]
    most: str


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', nargs='?', help='config file, .safetensors file, or name of a released model')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint of the config')
    parser.add_argument('--data', type=Path, help='folder that development.py wrote; without it no images are asked')
    parser.add_argument('--phrases', type=Path, default=PHRASES, help='another file, such as second_phrases.yaml')
    parser.add_argument('--half', choices=HALVES, default='all', help='phrases to ask, settings are for development')
    parser.add_argument('--smoothing', type=float, nargs=2, metavar=('WEIGHT', 'TEMPERATURE'), help='of the prompts')
    parser.add_argument('--pictures', type=int, default=PICTURES, help='number of rendered pictures')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--coarse', action='store_true', help='at the resolution of the head, by its logits alone')
    parser.add_argument('--words-alone', action='store_true', help='ask the text encoder, without pictures')
    args = parser.parse_args()
    if (args.model is None) != args.words_alone:
        parser.error('expected a model, or --words-alone')
    return args


def read_phrases(file: Path = PHRASES, *, taxonomy: Taxonomy) -> list[Phrase]:
    """Read the phrases.

    Args:
        file: A YAML file of groups, each a list of ``phrase`` with what it ``means``.
        taxonomy: The taxonomy of the nodes.

    Raises:
        ValueError: A node does not exist, or a phrase is, or nearly is, one of the taxonomy.
    """
    known = [phrase for node in taxonomy.nodes for phrase in (*node.phrases, *node.wordings)]
    found = []
    for group, entries in yaml.safe_load(file.read_text(encoding='utf-8')).items():
        for place, entry in enumerate(entries):
            if copied := next((phrase for phrase in known if is_near_copy(entry['phrase'], phrase)), None):
                raise ValueError(
                    f'{entry["phrase"]!r} is nearly {copied!r}, a phrase or wording of the taxonomy: reword it'
                )
            taxonomy.ids(entry['means'])
            half = 'held-out' if place % 2 else 'development'
            found.append(Phrase(entry['phrase'], tuple(entry['means']), group, half))
    return found


def is_near_copy(phrase: str, other: str) -> bool:
    """Return whether two phrases have more than half of their words in common, or one contains the other.

    Endings of the plural, spellings of gray and words such as "the" make no difference. Of other phrases of one word
    all but the same are different, since "cloud" is in every second phrase.
    """
    one, two = _words(phrase), _words(other)
    if len(set(one) & set(two)) > SAME_WORDS * len({*one, *two}):
        return True
    short, long = sorted((one, two), key=len)
    return len(short) > 1 and any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1))


@cache
def _words(phrase: str) -> list[str]:
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)?", phrase.lower().replace('grey', 'gray'))
    return [re.sub(r"('s|(?<=\w{3})(?<!s)s)$", '', word) for word in words if word not in _FILLERS]


def rendered(count: int) -> Iterator[Picture]:
    """Yield pictures of the procedural sky, each with the node of every pixel."""
    for seed in range(SEED, SEED + count):
        sky = render_sky(seed, SIZE)
        yield Picture(np.ascontiguousarray(sky.image[..., ::-1]), sky.labels)


def images_of_genera(root: Path) -> Iterator[Picture]:
    """Yield the first held-out images of every genus in a folder that ``development.py`` wrote."""
    counts: dict[int, int] = {}
    for stem in (root / 'splits' / 'val.txt').read_text().split():
        node = int(cv2.imread(str(root / 'masks' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)[0, 0])
        counts[node] = counts.get(node, 0) + 1
        if counts[node] <= PER_GENUS:
            yield Picture(cv2.imread(str(root / 'images' / f'{stem}.jpg')), np.array(node))


def below(taxonomy: Taxonomy, nodes: Sequence[str]) -> list[str]:
    """Return the names of the leaves at or below any of the nodes."""
    return [leaf.name for leaf in taxonomy.leaves if set(nodes) & set(leaf.lineage)]


def ask(
    model: HyperSegInferencer, batch: dict, wording: Sequence[str], nodes: Sequence[str], among: Vocabulary
) -> Answer:
    """Predict a picture by a wording of some nodes, beside the names of the classes that are not below them."""
    own = below(model.taxonomy, nodes)
    others = [leaf.name for leaf in among if leaf.name not in own]
    model.set_prompts([*wording, *others])
    labels = model.predict_prepared(batch)['labels']
    meant = [*(nodes if len(wording) == len(nodes) else nodes[:1]), *others]
    return Answer(labels < len(wording), meant[int(np.bincount(labels.ravel(), minlength=len(meant)).argmax())])


def count_pixels(answer: Answer, picture: Picture, nodes: Sequence[str], tree: Taxonomy) -> tuple[float, ...]:
    """Return the intersection and the union of the pixels of an answer and those of the nodes."""
    true = np.isin(picture.truth, tree.ids(below(tree, nodes)))
    return float((answer.found & true).sum()), float((answer.found | true).sum())


def count_image(answer: Answer, picture: Picture, nodes: Sequence[str], tree: Taxonomy) -> tuple[float, ...]:
    """Return intersection and union as for a single pixel; then for an image of the nodes a right level, and one."""
    truth = tree.nodes[int(picture.truth)].name
    true, found = truth in below(tree, nodes), answer.most in nodes
    right = level_of(tree, answer.most) == level_of(tree, truth)
    return float(found and true), float(found or true), float(true and right), float(true)


def level_of(taxonomy: Taxonomy, node: str) -> str | None:
    """Return the level of a node of the clouds; ``None`` for others."""
    lineage = taxonomy.nodes[taxonomy.nodes.index_of(node)].lineage
    return next((name for name in lineage if name in LEVELS), None)


def measure(
    model: HyperSegInferencer, phrases: Sequence[Phrase], pictures: Iterable[Picture], *, clouds_alone: bool
) -> NDArray[np.float64]:
    """Return the counts of every picture, for every phrase and then its names, (pictures, phrases, 2, counts).

    Args:
        model: The model.
        phrases: The phrases.
        pictures: The pictures.
        clouds_alone: The other prompts are clouds alone, and counts are those of :func:`count_image`, not of pixels.
    """
    tree = Taxonomy.load('sky')
    among = Vocabulary(leaf for leaf in tree.leaves if not clouds_alone or 'cloud' in leaf.lineage)
    count = count_image if clouds_alone else count_pixels
    wordings = {wording for phrase in phrases for wording in (((phrase.text,), phrase.nodes), (phrase.nodes,) * 2)}
    counts = []
    for picture in pictures:
        model.model.feature_cache = FeatureCache()  # of one picture
        batch = model.prepare(picture.image)
        by_wording = {
            (wording, nodes): count(ask(model, batch, wording, nodes, among), picture, nodes, tree)
            for wording, nodes in sorted(wordings)
        }
        counts.append([[by_wording[(p.text,), p.nodes], by_wording[p.nodes, p.nodes]] for p in phrases])
    return np.array(counts)


class AllWords:
    """Logits of all words of some wordings at once, at the resolution of the head."""

    def __init__(self, model: HyperSegInferencer, wordings: Iterable[str]) -> None:
        self.model, self.places, words = model, {}, []
        for wording in wordings:
            model.set_prompts([wording, 'outside the lens' if wording != 'outside the lens' else 'clear sky'])
            rows = [row for row, owner in enumerate(model.model.decode_head.expansion.owners) if owner == 0]
            first = sum(map(len, words))
            self.places[wording] = slice(first, first + len(rows))
            words.append(model.model.decode_head.text_embeddings()[rows].detach())
        self.words = torch.cat(words)

    @torch.no_grad()
    def scores(self, image: NDArray[np.uint8]) -> dict[str, torch.Tensor]:
        """Return for every wording values that are proportional to its probability, (h, w)."""
        module = self.model.model
        data = module.data_preprocessor(self.model.prepare(image), False)
        features = module.features_of(data['inputs'])
        logits = module.decode_head.forward_with_radius(features, self.words)[0][0]
        shown, padded = data['data_samples'][0].metainfo['img_shape'][:2], data['inputs'].shape[-2:]
        height, width = (round(n * a / b) for n, a, b in zip(logits.shape[1:], shown, padded, strict=True))
        values = (logits - logits.amax(0, keepdim=True))[:, :height, :width].exp()
        return {wording: values[place].sum(0) for wording, place in self.places.items()}


def measure_coarsely(
    model: HyperSegInferencer, phrases: Sequence[Phrase], pictures: Iterable[Picture], *, clouds_alone: bool
) -> NDArray[np.float64]:
    """Return the counts of :func:`measure` by the logits of the head alone, at its resolution."""
    tree = Taxonomy.load('sky')
    leaves = [leaf.name for leaf in tree.leaves if not clouds_alone or 'cloud' in leaf.lineage]
    count = count_image if clouds_alone else count_pixels
    wordings = dict.fromkeys((*leaves, *(p.text for p in phrases), *(node for p in phrases for node in p.nodes)))
    words, counts = AllWords(model, wordings), []
    for picture in pictures:
        scores = words.scores(picture.image)
        truth = picture.truth
        if truth.ndim:
            size = scores[leaves[0]].shape[::-1]
            truth = cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        row = []
        for phrase in phrases:
            others = [leaf for leaf in leaves if leaf not in below(tree, phrase.nodes)]
            best, which = torch.stack([scores[leaf] for leaf in others]).max(0)
            pair = []
            for wording in ((phrase.text,), phrase.nodes):
                score, own = torch.stack([scores[word] for word in wording]).max(0)
                meant = [*phrase.nodes[: len(wording)], *others]
                labels = torch.where(score >= best, own, which + len(wording))
                most = meant[int(torch.bincount(labels.ravel(), minlength=len(meant)).argmax())]
                answer = Answer((labels < len(wording)).numpy(), most)
                pair.append(count(answer, Picture(picture.image, truth), phrase.nodes, tree))
            row.append(pair)
        counts.append(row)
    return np.array(counts)


def shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return hits divided by counts, NaN for none, for (..., 2)."""
    return counts[..., 0] / np.where(counts[..., 1] > 0, counts[..., 1], np.nan)


def row(title: str, found: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> str:
    """Return a row of the summary: means of the phrases and of the names, and their ratio, for every measure.

    Args:
        title: The first cell.
        found: Counts of every measure, (pictures, phrases, 2, 2).
        chosen: The phrases of the row, (phrases,).
    """
    cells = [title, str(int(chosen.sum()))]
    for counts in found.values():
        each = shares(counts[:, chosen].sum(0))
        each = each[~np.isnan(each).any(-1)]
        low, high = bootstrap(each, lambda total: total[0] / total[1] if total[1] else float('nan'))
        phrase, name = each.mean(0)
        cells.append(f'{phrase:.3f} | {name:.3f} | {phrase / name:.2f} ({low:.2f} to {high:.2f})')
    return f'| {" | ".join(cells)} |'


def print_table(phrases: Sequence[Phrase], found: dict[str, NDArray[np.float64]]) -> None:
    """Print the summary by group and half, and the table of phrases."""
    heads = ' | '.join(f'{name}: phrases | names | ratio (95 %)' for name in found)
    print(f'| phrases | number | {heads} |\n{"|---" * (2 + 3 * len(found))}|')
    for attribute in ('group', 'half'):
        for value in dict.fromkeys(getattr(phrase, attribute) for phrase in phrases):
            print(row(value, found, np.array([getattr(phrase, attribute) == value for phrase in phrases])))
    print(row('all', found, np.ones(len(phrases), bool)))
    heads = heads.replace('ratio (95 %)', '95 % of the phrase')
    print(f'\n| phrase | means | {heads} |\n{"|---" * (2 + 3 * len(found))}|')
    for place, phrase in enumerate(phrases):
        cells = [phrase.text, ', '.join(phrase.nodes)]
        for counts in found.values():
            of_phrase, of_names = shares(counts[:, place].sum(0))
            low, high = bootstrap(counts[:, place, 0], lambda total: float(shares(total)))
            cells.append(f'{of_phrase:.3f} | {of_names:.3f} | {low:.3f} to {high:.3f}')
        print(f'| {" | ".join(cells)} |'.replace('nan', '-'))


def nearest_nodes(texts: Sequence[str], taxonomy: Taxonomy) -> list[str]:
    """Return for every text the node that it means most probably, as prompt_smoothing reads it."""
    reader = PhraseReader(taxonomy.nodes, OpenCLIPTextEncoder(templates=TEMPLATES))
    return [taxonomy.nodes[place].name for place in reader.scores([*map(Concept, texts)]).argmax(1).tolist()]


def print_words(phrases: Sequence[Phrase], taxonomy: Taxonomy) -> None:
    """Print how many phrases of every group and half are read as the right node, and the others with theirs."""
    nearest = nearest_nodes([phrase.text for phrase in phrases], taxonomy)
    right = [
        bool(set(phrase.nodes) & set(taxonomy.nodes[taxonomy.nodes.index_of(node)].lineage))
        for phrase, node in zip(phrases, nearest, strict=True)
    ]
    print('| phrases | number | right node | share (95 %) |\n|---|---|---|---|')
    for value in (*dict.fromkeys(p.group for p in phrases), *dict.fromkeys(p.half for p in phrases), 'all'):
        chosen = [
            hit for phrase, hit in zip(phrases, right, strict=True) if value in (phrase.group, phrase.half, 'all')
        ]
        low, high = bootstrap(np.array([(hit, 1) for hit in chosen], float), lambda total: total[0] / total[1])
        print(f'| {value} | {len(chosen)} | {sum(chosen)} | {np.mean(chosen):.2f} ({low:.2f} to {high:.2f}) |')
    print('\n| phrase | means | taken for |\n|---|---|---|')
    for phrase, node, hit in zip(phrases, nearest, right, strict=True):
        if not hit:
            print(f'| {phrase.text} | {", ".join(phrase.nodes)} | {node} |')


def main() -> None:
    """Evaluate the phrases."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    tree = Taxonomy.load('sky')
    phrases = [phrase for phrase in read_phrases(args.phrases, taxonomy=tree) if args.half in ('all', phrase.half)]
    if args.words_alone:
        print_words(phrases, tree)
        return
    model = HyperSegInferencer(args.model, args.checkpoint, device='cpu')
    model.model.test_cfg.pop('guided', None)
    if args.smoothing is not None:
        weight, temperature = args.smoothing
        model.model.decode_head.text.prompt_smoothing = dict(weight=weight, temperature=temperature)
    counted = measure_coarsely if args.coarse else measure
    found = {'pixels': counted(model, phrases, rendered(args.pictures), clouds_alone=False)}
    if args.data is not None:
        counts = counted(model, phrases, images_of_genera(args.data / 'ccsn'), clouds_alone=True)
        of_clouds = np.array(['cloud' in tree.nodes[tree.ids(p.nodes)[0]].lineage for p in phrases])
        counts[:, ~of_clouds] = 0
        found |= {'images': counts[..., :2], 'levels': counts[..., 2:]}
    print_table(phrases, found)


if __name__ == '__main__':
    main()
