"""Building the onchain program with nothing but a C compiler: compile to eBPF, link to SBPF v0."""
