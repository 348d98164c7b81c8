"""Measurements: how fast and how dear each part is on this machine; `awm bench` prints them."""
