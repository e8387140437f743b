"""Code that several commands share: printing, signals, resolution of a study."""
