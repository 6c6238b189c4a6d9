"""ASCOM Alpaca: cloud cover and safety for the software of observatories."""

from hyperbolic_seg.app.outputs.alpaca.output import PORT, AlpacaOutput, parse_address

__all__ = ['PORT', 'AlpacaOutput', 'parse_address']
