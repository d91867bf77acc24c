"""Agents of Pydantic AI."""

import asyncio

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider
from responses import CALL_TWICE, SAY, get_weather


class Place(BaseModel):
    city: str


def run(base_url, model):
    return asyncio.run(all_of_it(OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=base_url, api_key="key"))))


async def all_of_it(model):
    agent = Agent(model, tools=[get_weather])
    typed = await Agent(model, output_type=Place).run('CALL final_result {"city": "Bonn"}')
    async with agent.run_stream(CALL_TWICE) as streamed:
        text = "".join([piece async for piece in streamed.stream_text(delta=True)])
    settings = OpenAIResponsesModelSettings(openai_previous_response_id="auto")
    first = await agent.run(CALL_TWICE, model_settings=settings)
    second = await agent.run(SAY, message_history=first.all_messages(), model_settings=settings)
    return {
        "tools": (await agent.run(CALL_TWICE)).output,
        "tools, streamed": text,
        "a type": typed.output.model_dump(),
        "previous response": [first.output, second.output],
    }
