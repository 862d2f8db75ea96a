"""What training, analysis and serving share: building a module, the training loop, prediction."""
