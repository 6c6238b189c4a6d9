"""How many random examples the comparisons draw: some in every run, many in the nightly one."""

from hypothesis import settings

SOME = settings(max_examples=300 if settings.get_current_profile_name() == 'nightly' else 8)
