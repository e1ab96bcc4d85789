"""Compiled kernels of the locators; apart, so that listing the methods does not import the compiler."""
