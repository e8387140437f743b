"""Configuration of every group and command, as frozen values that check themselves."""
