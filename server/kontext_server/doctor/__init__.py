"""What is configured, what works, and how to mend the rest; nothing is sent that costs, nothing is changed.

What this is: `checkup.examine`, which walks the table of checks, and one file for each concern. What it is not: the
command's words on a terminal (`cli.doctor`), or a server: no job moves by it. Above: cli. Below: surface, app.
"""
