"""Learning curves of a whole space as one Parquet file: what stands in it, and how it is read and checked."""
