"""What compression left behind, undone in compiled code; loaded only where a long piece is read."""
