"""Image sets as device-resident tensors, their splits and augmentation."""
