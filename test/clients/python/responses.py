"""Clients of the Responses API: each does all that it can, and prints what came of it as JSON. The model does what it is told, line by line."""

import json
import sys
from importlib import import_module

SAY = "SAY Grüße 👋🏽, you."
CALL = 'CALL get_weather {"city": "Köln"}'
CALL_TWICE = CALL + '\nCALL get_weather {"city": "Bonn"}'
JSON = 'SAY {"city": "Bonn"}'


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


if __name__ == "__main__":
    client, base, model = sys.argv[1:]
    print(json.dumps(import_module(f"responses_{client}").run(base + "/v1", model)))
