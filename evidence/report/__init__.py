"""The report of one journal or many: JSON, Markdown, HTML."""
