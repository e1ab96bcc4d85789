"""Training of networks that link picks: rules, sequences made by them, and the loop over them."""
