from native import httpx_sse, requests_sse
from report import run
from sdks import anthropic_again, anthropic_cursor, openai_again, openai_cursor

run(
    {
        "httpx-sse": httpx_sse,
        "requests-sse": requests_sse,
        "openai": openai_again,
        "openai-cursor": openai_cursor,
        "anthropic": anthropic_again,
        "anthropic-cursor": anthropic_cursor,
    }
)
