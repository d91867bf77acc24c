"""Clients of event streams, with the native protocol."""

from report import Text, report


def httpx_sse(job):
    """Does not resume by itself: `Last-Event-ID` and a loop do."""
    import httpx
    from httpx_sse import connect_sse

    cursor = job.cursor
    with httpx.Client() as client:
        location = None
        text = Text(job, cancel=lambda: client.delete(job.base + location))
        while text.finish_reason is None:
            headers = {"Idempotency-Key": job.key, "Last-Event-ID": cursor}
            try:
                with connect_sse(client, "POST", job.url, json=job.body, headers=headers) as source:
                    if source.response.status_code == 204:
                        return "204"
                    source.response.raise_for_status()
                    location = source.response.headers.get("content-location")
                    for event in source.iter_sse():
                        text.event(event.event, event.data)
                        cursor = event.id
            except httpx.TransportError as error:
                report("error", message=repr(error))
        return text.finish_reason


def requests_sse(job):
    """Resumes by itself, of a POST too."""
    import requests
    from requests_sse import EventSource, InvalidStatusCodeError

    # The client hides the answer's headers, in which the stream's address is.
    session, locations = requests.Session(), []
    session.hooks["response"].append(lambda answer, **_: locations.append(answer.headers.get("content-location")))
    text = Text(job, cancel=lambda: requests.delete(job.base + locations[0]))
    try:
        with EventSource(
            job.url,
            method="POST",
            json=job.body,
            headers={"Idempotency-Key": job.key},
            latest_event_id=job.cursor,
            session=session,
            on_error=lambda: report("error", message="on_error"),
        ) as source:
            for event in source:
                text.event(event.type, event.data)
                if text.finish_reason:
                    return text.finish_reason
    except InvalidStatusCodeError as error:
        if error.status_code == 204:
            return "204"
        raise
