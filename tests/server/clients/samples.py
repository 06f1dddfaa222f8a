"""Configuration files as people have them: every indentation, line end and habit that a splice must give back."""

from __future__ import annotations

SAMPLES: dict[str, str] = {
    "two spaces": '{\n  "mcpServers": {\n    "files": {\n      "command": "npx",\n'
    '      "args": ["-y", "@x/files", "/tmp"]\n'
    '    }\n  },\n  "theme": "dark"\n}\n',
    "four spaces, others before and after": '{\n    "a": 1,\n    "mcpServers": {\n        "one": {"command": "a"},\n'
    '        "two": {\n            "url": "https://x.test/mcp"\n'
    '        }\n    },\n    "z": [1, 2, {"deep": null}]\n}',
    "tabs": '{\n\t"mcpServers": {\n\t\t"one": {\n\t\t\t"command": "a"\n\t\t}\n\t}\n}\n',
    "minified": '{"mcpServers":{"one":{"command":"a","args":[]}},"x":true}',
    "minified, no servers": '{"x":true}',
    "minified, servers empty": '{"a":1,"mcpServers":{}}',
    "one line with blanks": '{ "mcpServers": { "one": { "command": "a" } } }',
    "CRLF": '{\r\n  "mcpServers": {\r\n    "one": {\r\n      "command": "a"\r\n    }\r\n  }\r\n}\r\n',
    "CRLF, no servers": '{\r\n    "theme": "dark"\r\n}\r\n',
    "no final newline": '{\n  "mcpServers": {\n    "one": {"command": "a"}\n  }\n}',
    "many final newlines": '{\n  "mcpServers": {"one": {"command": "a"}}\n}\n\n\n',
    "empty object": "{}",
    "empty object and newline": "{}\n",
    "empty object, open": "{\n}\n",
    "empty object, open and indented": "{\n\n  \n}",
    "servers empty": '{\n  "mcpServers": {}\n}\n',
    "servers empty, open": '{\n  "mcpServers": {\n  }\n}\n',
    "servers empty, far open": '{\n  "mcpServers": {\n\n\n  },\n  "x": 1\n}\n',
    "no servers": '{\n  "globalShortcut": "",\n  "preferences": {\n    "quickEntryDictationShortcut": "off"\n  }\n}\n',
    "empty file": "",
    "blank file": "\n \r\n\t",
    "escapes beside raw letters": '{\n  "mcpServers": {\n'
    '    "caf\\u00e9": {"command": "/Jos\u00e9/\\u00e9/\U0001f600\\ud83d\\ude00"}\n  }\n}\n',
    "blanks at line ends": '{  \n  "mcpServers": {   \n    "one": {"command": "a"}   \n  }\t\n}   \n',
    "comma first": '{\n    "a": 1\n  , "mcpServers": {\n      "one": {"command": "a"}\n'
    '    , "two": {"command": "b"}\n    }\n}\n',
    "colons with blanks": '{\n  "mcpServers" : {\n    "one" : {"command" : "a"}\n  }\n}\n',
    "no indentation": '{\n"mcpServers": {\n"one": {"command": "a"}\n}\n}\n',
    "wild": '{"mcpServers":\n      {\n  "one":{"command":"a"}}\n ,"x":[\n]}',
    "numbers as written": '{\n  "n": [1.0, 1e400, -0, 12345678901234567890123, 1.50],\n  "mcpServers": {}\n}\n',
    "nested like ours": '{\n  "projects": {"/x": {"mcpServers": {"kontext": {"command": "other"}}}},\n'
    '  "mcpServers": {"a": {"command": "b"}}\n}\n',
    "old Mac line ends": '{\r  "mcpServers": {\r    "one": {"command": "a"}\r  }\r}\r',
    "VS Code without our names": '{\n\t"servers": {\n\t\t"one": {\n\t\t\t"type": "stdio",\n'
    '\t\t\t"command": "a",\n\t\t\t"env": {"K": "${input:k}"}\n'
    '\t\t}\n\t},\n\t"inputs": [\n\t\t{\n\t\t\t"type": "promptString",\n'
    '\t\t\t"id": "k",\n\t\t\t"description": "K",\n\t\t\t"password": true\n\t\t}\n\t]\n}',
    "VS Code, inputs empty": '{\n\t"servers": {},\n\t"inputs": []\n}',
    "VS Code, inputs empty and open": '{\n\t"inputs": [\n\t],\n\t"servers": {\n\t}\n}\n',
}
