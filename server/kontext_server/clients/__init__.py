"""The clients that people have: where each is told of this server, and how that is put in and taken out again.

What this is: a table of clients as data (`table`), and the few ways in which they are told: a member spliced into
a JSON file of theirs, a command of theirs, a text to paste. What it is not: the command line's words
(`cli.install`, `cli.uninstall`). Above: cli. Below: settings (which variables there are), quoting.
"""
