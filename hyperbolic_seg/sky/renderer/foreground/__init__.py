"""Foreground of the sky: buildings, trees, terrain and structures around the camera, and the rim of its lens."""
