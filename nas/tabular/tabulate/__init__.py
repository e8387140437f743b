"""Making of a table: every network of a space is trained over seeds and tested after each epoch."""
