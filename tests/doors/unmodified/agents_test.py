#!/usr/bin/env python3
"""openai-agents, unmodified: a loop of tools over /v1/responses."""

import asyncio

import client_case  # noqa: F401
from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from client_case import AFTERWARDS, KEY, WITH_RESULT, ClientCase, call_text
from door_main import main
from openai import AsyncOpenAI

asked = []


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    asked.append(city)
    return "7 degrees and rain"


class AgentsTest(ClientCase):
    def setUp(self):
        set_tracing_disabled(True)
        asked.clear()
        client = AsyncOpenAI(base_url=self.doors.url + "/v1", api_key=KEY, max_retries=0)
        model = OpenAIResponsesModel(model="demo", openai_client=client)
        self.agent = Agent(name="Pilot", instructions="Help.", tools=[get_weather], model=model)
        self.say(WITH_RESULT, {"text": call_text("Oslo", "Bergen")})

    def test_a_loop_of_tools_ends_with_an_answer(self):
        result = asyncio.run(Runner.run(self.agent, "How is the weather?"))
        self.assertEqual(result.final_output, AFTERWARDS)
        self.assertEqual(sorted(asked), ["Bergen", "Oslo"])

    def test_a_streamed_loop_does_the_same(self):
        async def run():
            result = Runner.run_streamed(self.agent, "How is the weather?")
            kinds = [event.type async for event in result.stream_events()]
            return result.final_output, kinds

        output, kinds = asyncio.run(run())
        self.assertEqual(output, AFTERWARDS)
        self.assertIn("raw_response_event", kinds)
        self.assertEqual(sorted(asked), ["Bergen", "Oslo"])


if __name__ == "__main__":
    main()
