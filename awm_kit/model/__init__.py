"""The Mamba2 world model in PyTorch: configuration, network, training, evaluation."""
