"""What training, analysis, serving and feedback share: modules, the loop, prediction, metrics."""
