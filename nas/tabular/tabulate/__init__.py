"""The making of a table: every network of a space trained over seeds, measured on the test part after each epoch."""
