"""Where jobs are remembered: `base` is the seam, `records` what every store shares."""
