"""Block families: one file each."""
