"""Training of the bundled picker: simulated records, data sets, a region's own picks, the loop itself."""
