"""Experiments that ran elsewhere: files and warehouses of units or totals, judged by our rules."""
