"""What a model reads: tools, arguments, answers, failures, resources. Above: stdio. Below: app, `kontext_tools`."""
