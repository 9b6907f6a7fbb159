"""Generation of data sets from simulated demonstrations."""
