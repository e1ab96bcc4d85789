"""miniSEED 2 and 3, record by record: what is sound is decoded, every other byte accounted for."""
