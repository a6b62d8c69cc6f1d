"""Trials of a trading bot: a course of faults at the simulated venue, judged by its ledger.

`judging` is pure: it decides from what the venue wrote down. All else here starts processes.
"""
