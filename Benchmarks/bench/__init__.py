"""Measures Milonga side by side with its references and its peers; `bench.py` is the command."""
