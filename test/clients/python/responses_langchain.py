"""ChatOpenAI of LangChain."""

from functools import reduce
from operator import add

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from responses import CALL_TWICE, JSON, get_weather

TOOL = tool(get_weather)


class Place(BaseModel):
    city: str


def run(base_url, model):
    def chat(**settings):
        return ChatOpenAI(
            model=model, base_url=base_url, api_key="key", use_responses_api=True, max_retries=0, **settings
        )

    return {
        "tools": loop(chat(), lambda llm, messages: llm.invoke(messages)),
        "tools, streamed": loop(chat(), streamed),
        "previous response": loop(chat(use_previous_response_id=True), streamed),
        "output_version": loop(chat(output_version="responses/v1"), streamed),
        "a type": chat().with_structured_output(Place).invoke(JSON).model_dump(),
    }


def streamed(llm, messages):
    return reduce(add, llm.stream(messages))


def loop(chat, ask):
    llm, messages = chat.bind_tools([TOOL]), [HumanMessage(CALL_TWICE)]
    while True:
        answer = ask(llm, messages)
        messages.append(answer)
        if not answer.tool_calls:
            return answer.text
        messages += [TOOL.invoke(call) for call in answer.tool_calls]
