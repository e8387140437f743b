"""Fine-tuning of a trained network on other images: its origin, and trainings over seeds."""
