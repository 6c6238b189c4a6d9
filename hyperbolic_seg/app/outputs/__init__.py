"""What ``hyperbolic-seg watch`` hands its records to, beside the journal."""
