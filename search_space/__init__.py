"""What can be built: the algebra of Inception networks, their exact cost and the domain of a search."""
