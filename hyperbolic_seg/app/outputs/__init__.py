"""Outputs of ``hyperbolic-seg watch`` beside the journal: series, MQTT, webhook, safety and Alpaca."""
