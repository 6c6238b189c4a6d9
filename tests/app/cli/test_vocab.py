"""hyperbolic-seg vocab."""

import json

import cv2
import pytest

from hyperbolic_seg.text import Vocabulary


def test_a_taxonomy_is_shown_and_drawn_as_a_tree(command, tmp_path):
    done = command('vocab', 'sky', '--draw', tmp_path / 'sky.png')
    assert done.code == 0 and 'sky is valid: 29 concepts, a taxonomy with 22 leaves below everything' in done.err
    lines = {line.split('●')[1].split()[1]: line.index('●') for line in done.out.splitlines() if '●' in line}
    assert lines['everything'] < lines['cloud'] < lines['cirrus'], 'what is below stands further in'
    assert cv2.imread(str(tmp_path / 'sky.png')) is not None


def test_json_holds_all_concepts_of_a_flat_list(command):
    done = command('vocab', 'voc20', '--json')
    found = json.loads(done.out)
    assert done.code == 0 and 'a flat list' in done.err
    assert [concept['name'] for concept in found] == list(Vocabulary.load('voc20').names)


def test_a_selection_without_its_inner_nodes_is_a_list(command, tmp_path):
    done = command('vocab', 'leaves')
    assert done.code == 0 and 'cirrus' in done.out and 'a flat list' in done.err
    drawn = command('vocab', 'leaves', '--draw', tmp_path / 'leaves.png')
    assert drawn.code == 2 and 'a taxonomy holds every node' in drawn.err


@pytest.mark.parametrize(
    'content, message',
    [
        ('concepts: [{name: a}, {name: A}]', 'names must be unique'),
        ('concepts: [{name: a, parent: b}]', "'b'"),
        ('concepts: [{name: root}, {name: a, parent: root}, {name: b}]', 'a taxonomy has one root'),
        ('concepts: [{name: a, parent: a}]', "'a'"),
        ('concepts: {', 'not a valid vocabulary'),
        ('!!python/object/apply:os.system ["true"]', 'not a valid vocabulary'),
    ],
)
def test_a_fault_of_a_vocabulary_file_is_named(command, tmp_path, content, message):
    file = tmp_path / 'own.yaml'
    file.write_text(content)
    done = command('vocab', file)
    assert done.code == 2 and message in done.err and not done.out, done.err


def test_unknown_figure_formats_are_refused(command, tmp_path):
    done = command('vocab', 'sky', '--draw', tmp_path / 'sky.clouds')
    assert done.code == 2 and 'expected a suffix such as .png' in done.err


def test_prompts_are_known_near_or_unknown(command):
    prompts = ['--prompts', 'Haufenwolken, wispy clouds', '--prompts', 'violin']
    shown = command('vocab', *prompts)
    assert (
        shown.code == 0 and "note: 'violin' is not known here" in shown.err and '2 of 3 prompts are known' in shown.err
    )
    lines = {line.split('│')[1].strip(): line.split('│')[2].strip() for line in shown.out.splitlines() if '│' in line}
    assert lines['Haufenwolken'] == 'cumulus' and lines['wispy clouds'].startswith('near high cloud')
    assert lines['violin'].startswith('not known; nearest known: ')
    known, near, unknown = json.loads(command('vocab', *prompts, '--json').out)
    assert known == dict(name='Haufenwolken', concept='cumulus', known=True)
    assert near['concept'] is None and near['known'] and near['nearest'][0] == 'high cloud'
    assert not unknown['known'] and unknown['similarity'] < near['similarity'] <= 1
    empty = command('vocab', '--prompts', 'cumulus,,cirrus')
    assert empty.code == 2 and 'an empty prompt' in empty.err


def test_names_in_other_languages_are_shown_as_json(command):
    (cumulus,) = [node for node in json.loads(command('vocab', '--json').out) if node['name'] == 'cumulus']
    assert cumulus['names']['zh'] == ['积云'] and 'Haufenwolken' in cumulus['names']['de']
