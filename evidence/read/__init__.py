"""Reading: journals, foreign event files, keys and settings into typed values."""
