"""What a camera that looks at the sky adds to a picture: its lens, its dome, the sun, and cover of the sky in oktas."""
