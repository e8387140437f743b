"""Search spaces of Inception networks: the algebra that they are built of, their exact cost and their domains."""
