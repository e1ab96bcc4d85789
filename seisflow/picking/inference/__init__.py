"""Networks over records of any length: windows, normalisation, batches, stacking, triggers."""
