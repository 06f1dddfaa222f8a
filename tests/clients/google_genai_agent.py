"""google-genai's own loop over an MCP session; the Gemini API's place on loopback is taken by the script.

The framework has no seam for a model of one's own, so its real HTTP client asks an address of this machine, where a
plain web server answers `generateContent` with the script's next calls. The session goes in as a tool: the
framework translates the schemas (`mcp_to_gemini_tool`), calls the tools and sends the answers back.

What the model sees there: the whole result as JSON, text, structured content, and the picture as base64.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google import genai
from google.genai import types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from clients.following import Converse, Following, Server, main
from clients.reading import Call, Shown

MOST_TURNS = 20


@asynccontextmanager
async def connected(server: Server) -> AsyncGenerator[Converse]:
    """Start a server, open a session with it, and lead conversations over the framework's loop."""
    command, *arguments = server.command
    parameters = StdioServerParameters(command=command, args=arguments, env=server.env)
    async with stdio_client(parameters) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()

        async def converse(following: Following) -> None:
            # As a dict: a config object is copied with all that it holds, which a session cannot be.
            calling = types.AutomaticFunctionCallingConfigDict(maximum_remote_calls=MOST_TURNS)
            config = types.GenerateContentConfigDict(tools=[session], automatic_function_calling=calling)
            with _gemini(following) as address:
                client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=address))
                await client.aio.models.generate_content(model="scripted", contents="Go.", config=config)

        yield converse


@contextmanager
def _gemini(following: Following) -> Generator[str]:
    """Serve the script as the model of the Gemini API; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            declared = {each["name"] for tool in asked["tools"] for each in tool["functionDeclarations"]}
            assert "edit_image" in declared, declared
            answers = _answers(asked["contents"])
            body = json.dumps(_reply(following.after(answers) if answers else following.begin())).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def _reply(calls: Sequence[Call]) -> dict[str, Any]:
    parts = [{"functionCall": {"name": call.tool, "args": dict(call.arguments)}} for call in calls]
    content = {"role": "model", "parts": parts or [{"text": "Done."}]}
    return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]}


def _answers(contents: Sequence[dict[str, Any]]) -> list[Shown]:
    """Give the last turn's answers; they come in the order of its calls."""
    responses = [part["functionResponse"]["response"] for part in contents[-1]["parts"] if "functionResponse" in part]
    return [_shown(response.get("result") or response["error"]) for response in responses]


def _shown(result: Any) -> Shown:
    if isinstance(result, str):
        return Shown(text=result)
    blocks = result["content"]
    fields = result.get("structuredContent") or result.get("structured_content")
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    return Shown(text=text, fields=fields, pictures=sum(block["type"] == "image" for block in blocks))


if __name__ == "__main__":
    main(connected)
