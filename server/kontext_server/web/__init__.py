"""How others than our own parent process reach the server: over HTTP."""
