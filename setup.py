"""Puts configs and tools into the package as hyperbolic_seg/.mim, where OpenMMLab's tools look for them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

ROOT = Path(__file__).resolve().parent
MIM = ROOT / 'hyperbolic_seg' / '.mim'
CONTENT = ('configs', 'tools')


def add_mim(*, link: bool) -> None:
    """Link configs and tools into the package (editable install), or copy them (wheels, and no symlinks)."""
    shutil.rmtree(MIM, ignore_errors=True)
    MIM.mkdir()
    for name in CONTENT:
        if link:
            try:
                (MIM / name).symlink_to(Path('..') / '..' / name, target_is_directory=True)
                continue
            except OSError:  # file systems and accounts without symlinks get a copy
                pass
        shutil.copytree(ROOT / name, MIM / name, ignore=shutil.ignore_patterns('__pycache__'))


class BuildPy(build_py):
    def run(self) -> None:
        add_mim(link=self.editable_mode)
        # The package data is listed before the copy exists.
        self.data_files = self._get_data_files()
        super().run()


class Develop(develop):
    def run(self) -> None:
        add_mim(link=True)
        super().run()


setup(cmdclass={'build_py': BuildPy, 'develop': Develop})
