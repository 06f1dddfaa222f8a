"""The hosted APIs and the sandbox: `base` is the seam, `wire` what they share, each other module one adapter."""
