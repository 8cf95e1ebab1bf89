"""Networks with their preprocessing, labels and named layers; predictions; training."""
