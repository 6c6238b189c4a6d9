"""The web page of ``hyperbolic-seg serve`` and its REST interface."""
