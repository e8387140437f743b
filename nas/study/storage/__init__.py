"""Where studies are kept: one file a kind of database, each behind the same Protocol."""
