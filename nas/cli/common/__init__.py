"""Parts that several commands share: printing, signals, finding a study."""
