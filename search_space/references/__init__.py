"""Published networks as values of the algebra."""
