"""The kernel as WebAssembly: in this process with wasmtime, and in a page that needs nothing else."""
