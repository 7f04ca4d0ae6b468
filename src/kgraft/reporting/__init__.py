"""Reports: what training, re-training and benchmarks did, as one HTML file."""
