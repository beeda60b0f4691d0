"""What the homeworks read: offline samples, and downloads of the full sets."""
