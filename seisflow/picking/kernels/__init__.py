"""Compiled kernels of the pickers; apart, so that listing the methods does not import the compiler."""
