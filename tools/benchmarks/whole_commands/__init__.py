"""Commands that predict pictures from files to files, and the models alone that are in them."""

STAGES = ('decode', 'quality', 'prepare', 'forward', 'refine', 'labels', 'overlay', 'encode', 'write')
"""In the order of the command. ``overlay`` counts the labels, too; ``encode`` is of PNG."""
