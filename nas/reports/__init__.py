"""Reports of studies: on the terminal, as figures, as an HTML file and as a dashboard."""
