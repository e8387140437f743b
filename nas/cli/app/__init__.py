"""The Hydra application around the commands, and the only importer of hydra."""
