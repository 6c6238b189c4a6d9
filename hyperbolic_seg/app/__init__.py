"""The command ``hyperbolic-seg``, its web page and its watcher; they need the extra ``app``."""
