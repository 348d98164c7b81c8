"""Learned worlds: games whose physics is a small quantised Mamba2 network on Solana."""

__version__ = "0.1.0"
