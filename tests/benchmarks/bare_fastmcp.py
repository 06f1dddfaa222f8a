"""What the framework that many servers are written in costs: an echo server on fastmcp, over its stdio (`peers`)."""

from fastmcp import FastMCP

server = FastMCP("bare")


@server.tool
def echo(text: str) -> str:
    """Say it back."""
    return text


if __name__ == "__main__":
    server.run(show_banner=False)
