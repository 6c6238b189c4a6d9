"""The configs inside the package, by name."""

import pytest

from hyperbolic_seg.apis.configs import find_config, list_configs


def test_configs_are_found_inside_the_package(repository):
    for name, file in list_configs().items():
        assert file.resolve() == repository / 'configs' / f'{name}.py'
    assert find_config('unet_cloud') == list_configs()['unet_cloud']
    assert find_config('hyperclip_vitb16_384.py') == list_configs()['hyperclip/hyperclip_vitb16_384']


def test_a_name_without_a_folder_is_first_one_of_the_top():
    configs = list_configs()
    assert find_config('hyperclip_unet_cloud') == configs['hyperclip_unet_cloud']
    assert find_config('released/hyperclip_unet_cloud') == configs['released/hyperclip_unet_cloud']
    assert find_config('hyperclip_unet_sky') == configs['released/hyperclip_unet_sky']


def test_a_file_in_the_working_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'unet_cloud.py').write_text('')
    assert str(find_config('unet_cloud.py')) == 'unet_cloud.py'


def test_an_unknown_config_is_named_with_similar_ones():
    with pytest.raises(
        FileNotFoundError, match='unet_clod is neither a file nor a config.*Similar ones are unet_cloud'
    ):
        find_config('unet_clod')
