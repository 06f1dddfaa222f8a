"""What can be done to an image: the eight concepts, their rules about money, and the seven wires.

This package has never heard of MCP, of a web server or of the environment; `kontext_server` says how an agent,
a person or an operator reaches it. The verbs are in `studio`, named as the tools are.
"""
