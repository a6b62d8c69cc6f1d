"""The independent accountant: journals in, reports and verdicts out."""
