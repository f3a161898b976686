"""What a log knows of producers and their transactions."""
