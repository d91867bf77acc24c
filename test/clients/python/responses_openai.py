"""OpenAI's own package."""

from openai import OpenAI
from pydantic import BaseModel
from responses import CALL, JSON, SAY, get_weather

TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Place(BaseModel):
    city: str


def run(base_url, model):
    responses = OpenAI(base_url=base_url, api_key="key", max_retries=0).responses
    return {
        "create": responses.create(model=model, input=SAY).output_text,
        "stream": text_of(responses.create(model=model, input=SAY, stream=True)),
        "stream helper": stream_helper(responses, model),
        "stream helper with a type": typed_stream(responses, model),
        "parse": responses.parse(model=model, input=JSON, text_format=Place).output_parsed.model_dump(),
        "a second turn": second_turn(responses, model),
        "background": background(responses, model),
        "cancel": cancel(responses, model),
    }


def text_of(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def stream_helper(responses, model):
    with responses.stream(model=model, input=CALL, tools=[TOOL]) as stream:
        snapshots = [each.snapshot for each in stream if each.type == "response.function_call_arguments.delta"]
        calls = [item for item in stream.get_final_response().output if item.type == "function_call"]
    return [snapshots[-1] == calls[0].arguments, [call.parsed_arguments for call in calls]]


def typed_stream(responses, model):
    with responses.stream(model=model, input=JSON, text_format=Place) as stream:
        stream.until_done()
        return stream.get_final_response().output_parsed.model_dump()


def second_turn(responses, model):
    first = responses.create(model=model, input=CALL, tools=[TOOL])
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": get_weather("Köln")}
        for call in first.output
        if call.type == "function_call"
    ]
    by_id = responses.create(model=model, tools=[TOOL], previous_response_id=first.id, input=outputs)
    conversation = [{"role": "user", "content": CALL}, *first.output, *outputs]
    by_items = responses.create(model=model, tools=[TOOL], input=conversation)
    responses.delete(by_items.id)
    return [by_id.output_text, by_items.output_text, [item.type for item in responses.input_items.list(by_id.id)]]


def background(responses, model):
    """All of it, the rest from each of its events on, and the same with the helper; what differs."""
    created = responses.create(model=model, input=SAY, background=True)
    events = list(responses.retrieve(created.id, stream=True))
    wrong = []
    for i, event in enumerate(events):
        rest = responses.retrieve(created.id, stream=True, starting_after=event.sequence_number)
        if text_of(events[: i + 1]) + text_of(rest) != text_of(events):
            wrong.append(event.type)
    with responses.stream(response_id=created.id, starting_after=events[4].sequence_number) as stream:
        resumed = stream.get_final_response()
    return [text_of(events), wrong, resumed.output_text, responses.retrieve(created.id).status]


def cancel(responses, model):
    stream = responses.create(model=model, input="WAIT", background=True, stream=True)
    id = next(event.response.id for event in stream if event.type == "response.created")
    cancelled = responses.cancel(id).status
    return [cancelled, responses.cancel(id).status, responses.retrieve(id).status]
