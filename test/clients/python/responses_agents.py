"""OpenAI's agents."""

import asyncio
import os

from agents import Agent, Runner, function_tool, set_tracing_disabled
from pydantic import BaseModel
from responses import CALL, CALL_TWICE, JSON, SAY, get_weather

HAND_OFF = "CALL transfer_to_helper {}\n" + CALL


class Place(BaseModel):
    city: str


def run(base_url, model):
    os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = base_url, "key"
    set_tracing_disabled(True)
    return asyncio.run(all_of_it({} if model == "default" else {"model": model}))


async def all_of_it(settings):
    helper = Agent(name="Helper", instructions="Help.", tools=[function_tool(get_weather)], **settings)
    triage = Agent(name="Triage", instructions="Hand off.", handoffs=[helper], **settings)
    typed = Agent(name="Typed", instructions="Say where.", output_type=Place, **settings)

    handed = await Runner.run(triage, HAND_OFF)
    streamed = Runner.run_streamed(triage, HAND_OFF)
    items = [event.name async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
    first = await Runner.run(helper, CALL, auto_previous_response_id=True)
    second = await Runner.run(helper, SAY, previous_response_id=first.last_response_id)
    return {
        "tools": (await Runner.run(helper, CALL_TWICE)).final_output,
        "handoff": [handed.final_output, handed.last_agent.name],
        "handoff, streamed": [streamed.final_output, items],
        "a type": (await Runner.run(typed, JSON)).final_output.model_dump(),
        "previous response": [first.final_output, second.final_output],
    }
