"""Parts of ``watch_day.py``: the camera, the command, the other ends of its outputs, and what they have."""
