"""Neural networks of the pickers, one file each; these files import torch, so nothing imports them early."""
