"""Storage of studies: one file a database behind one Protocol, and the locks that admit one driver a study."""
