"""Vocabularies of the sky, as YAML files."""
