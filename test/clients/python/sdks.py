"""The SDKs of OpenAI and Anthropic. Neither resumes by itself: the same request with the same `Idempotency-Key` does."""

from report import Text, report


def openai_again(job):
    """From the beginning on, of which what is known already is skipped."""
    from openai import APIConnectionError, OpenAI

    client = OpenAI(base_url=job.base + "/v1", api_key="none")
    text = Text(job)
    while text.finish_reason is None:
        received = ""
        try:
            headers = {"Idempotency-Key": job.key}
            with client.chat.completions.create(**job.body, stream=True, extra_headers=headers) as stream:
                for chunk in stream:
                    if not chunk.choices:
                        report("empty")
                        continue
                    received += chunk.choices[0].delta.content or ""
                    text.restart_with(received)
                    text.finish_reason = chunk.choices[0].finish_reason
        except APIConnectionError as error:
            report("error", message=repr(error))
    return text.finish_reason


def openai_cursor(job):
    """From the cursor on, for which the SDK has no name of its own."""
    from openai import APIConnectionError, OpenAI

    client = OpenAI(base_url=job.base + "/v1", api_key="none")
    cursor = job.cursor
    text = Text(job)
    while text.finish_reason is None:
        try:
            headers = {"Idempotency-Key": job.key, "Last-Event-ID": cursor}
            with client.chat.completions.create(**job.body, stream=True, extra_headers=headers) as stream:
                if stream.response.status_code == 204:
                    return "204"
                for chunk in stream:
                    cursor = stream._decoder._last_event_id or cursor
                    if not chunk.choices:
                        report("empty")
                        continue
                    text.add(chunk.choices[0].delta.content)
                    text.finish_reason = chunk.choices[0].finish_reason
        except APIConnectionError as error:
            report("error", message=repr(error))
    return text.finish_reason


def anthropic_again(job):
    """From the beginning on, of which what is known already is skipped."""
    import httpx2
    from anthropic import Anthropic, APIConnectionError

    client = Anthropic(base_url=job.base, api_key="none")
    text = Text(job)
    while text.finish_reason is None:
        received = ""
        try:
            headers = {"Idempotency-Key": job.key}
            with client.messages.create(**job.body, stream=True, extra_headers=headers) as stream:
                for event in stream:
                    if event.type == "content_block_delta":
                        received += event.delta.text
                        text.restart_with(received)
                    elif event.type == "message_delta":
                        text.finish_reason = event.delta.stop_reason
        except (APIConnectionError, httpx2.TransportError) as error:
            report("error", message=repr(error))
    return text.finish_reason


def anthropic_cursor(job):
    """From the cursor on, which only the raw events have."""
    import httpx2
    from anthropic import Anthropic, APIConnectionError, Stream

    client = Anthropic(base_url=job.base, api_key="none")
    cursor = job.cursor
    text = Text(job)
    while text.finish_reason is None:
        try:
            headers = {"Idempotency-Key": job.key, "Last-Event-ID": cursor}
            request = client.messages.with_streaming_response.create(**job.body, stream=True, extra_headers=headers)
            with request as response:
                if response.status_code == 204:
                    return "204"
                for event in Stream.raw_events(response.http_response):
                    cursor = event.id or cursor
                    if not event.data:
                        report("empty")
                    elif event.event == "content_block_delta":
                        text.add(event.json()["delta"]["text"])
                    elif event.event == "message_delta":
                        text.finish_reason = event.json()["delta"]["stop_reason"]
        except (APIConnectionError, httpx2.TransportError) as error:
            report("error", message=repr(error))
    return text.finish_reason
