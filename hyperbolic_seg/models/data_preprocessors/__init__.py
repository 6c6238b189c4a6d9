"""What is done to pictures before a model sees them."""

from hyperbolic_seg.models.data_preprocessors.daylight import DaylightPreProcessor, to_daylight

__all__ = ['DaylightPreProcessor', 'to_daylight']
