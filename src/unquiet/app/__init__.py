"""What the command line runs: scanning files into a folder, describing incidents, saying what cannot be seen."""
