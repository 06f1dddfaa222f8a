"""Where bytes are kept: `base` is the seam, each other module one place."""
