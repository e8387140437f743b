"""The study: its trials, summaries, selection, progress and retention; storage/ has one file a database."""
