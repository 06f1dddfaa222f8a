"""How an agent, a person or an operator reaches the studio: MCP, a command line, settings, a simulator.

`app` is the composition root; `surface` is what a model reads; `cli` is what a person types. What can be done to an
image is in `kontext_tools`, which knows nothing of this package.
"""

__version__ = "0.1.0"

COMPLETING = "_KONTEXT_COMPLETE"
"""The variable by which a shell asks what a line may go on with (click's protocol)."""
