"""The command, the web page and the watcher: what the extra ``app`` is for."""
