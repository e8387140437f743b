"""The picked networks once more, in full and over several seeds, and the one look at the test part."""
