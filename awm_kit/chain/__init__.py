"""Worlds and matches as Solana accounts: ledgers, deployment, sessions, forks."""
