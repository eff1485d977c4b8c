#!/usr/bin/env python3
"""The official Anthropic client, unmodified, synchronous and not, against the door."""

import asyncio
import time
import unittest

import client_case  # noqa: F401
import anthropic
from client_case import AFTERWARDS, FORCED, KEY, RESULT, SAID, THINKING
from client_case import THOUGHT, WEATHER, WITH_RESULT, ClientCase, Waiting, call_text, full_doors
from door_main import main

SAY_IT = [{"role": "user", "content": "Say it."}]
TOOL = {
    "name": WEATHER["name"],
    "description": WEATHER["description"],
    "input_schema": WEATHER["parameters"],
}


class SyncTest(ClientCase):
    def make(self, **options):
        options = {"api_key": KEY, "max_retries": 0, "timeout": 20, **options}
        return anthropic.Anthropic(base_url=self.doors.url, **options)

    def setUp(self):
        super().setUp()
        self.client = self.make()

    def items(self, stream):
        return list(stream)

    def create(self, **options):
        options = {"model": "demo", "messages": SAY_IT, "max_tokens": 200, **options}
        return self.client.messages.create(**options)

    def test_models_are_listed_and_retrieved(self):
        models = self.items(self.client.models.list())
        self.assertEqual([model.id for model in models], ["demo"])
        model = self.client.models.retrieve("demo")
        self.assertEqual((model.type, model.id), ("model", "demo"))
        self.assertTrue(model.display_name)

    def test_an_answer_streamed_and_not(self):
        whole = self.create(system="Briefly.")
        self.assertEqual([(b.type, b.text) for b in whole.content], [("text", SAID)])
        self.assertEqual((whole.stop_reason, whole.role), ("end_turn", "assistant"))
        self.assertTrue(whole.id.startswith("msg_"))
        self.assertTrue(whole._request_id)
        events = self.items(self.create(system="Briefly.", stream=True))
        kinds = [event.type for event in events if event.type != "content_block_delta"]
        order = ["message_start", "content_block_start", "content_block_stop"]
        self.assertEqual(kinds, [*order, "message_delta", "message_stop"])
        text = "".join(e.delta.text for e in events if e.type == "content_block_delta")
        self.assertEqual(text, SAID)
        end = next(event for event in events if event.type == "message_delta")
        self.assertEqual(end.delta.stop_reason, "end_turn")
        self.assertEqual(end.usage.output_tokens, whole.usage.output_tokens)

    def test_usage_counts_cached_tokens_and_count_tokens_agrees(self):
        messages = [{"role": "user", "content": "A long story about masts. " * 40}]
        self.create(messages=messages)
        usage = self.create(messages=messages).usage
        self.assertGreaterEqual(usage.cache_read_input_tokens, 32)
        counted = self.client.messages.count_tokens(model="demo", messages=messages)
        self.assertEqual(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens)
        options = {"model": "demo", "messages": SAY_IT, "tools": [TOOL], "system": "Be brief."}
        counted = self.client.messages.count_tokens(**options)
        usage = self.client.messages.create(**options, max_tokens=5).usage
        found = usage.input_tokens + (usage.cache_read_input_tokens or 0)
        self.assertEqual(counted.input_tokens, found)

    def test_stops_and_lengths(self):
        stopped = self.create(stop_sequences=["oars"])
        self.assertEqual((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", "oars"))
        self.assertEqual(stopped.content[0].text, SAID.split("oars")[0])
        cut = self.create(max_tokens=2)
        self.assertEqual((cut.stop_reason, cut.usage.output_tokens), ("max_tokens", 2))
        more = {"top_k": 5, "temperature": 0.5, "top_p": 0.9}
        self.assertEqual(self.create(extra_body=more).content[0].text, SAID)

    def test_a_call_and_its_result(self):
        for cities in (("Oslo",), ("Oslo", "Bergen")):
            self.say(WITH_RESULT, {"text": call_text(*cities)})
            answer = self.create(tools=[TOOL])
            self.assertEqual(answer.stop_reason, "tool_use")
            calls = [block for block in answer.content if block.type == "tool_use"]
            self.assertEqual([call.input for call in calls], [{"city": city} for city in cities])
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": RESULT} for call in calls
            ]
            messages = [
                *SAY_IT,
                {"role": "assistant", "content": [block.model_dump() for block in answer.content]},
                {"role": "user", "content": results},
            ]
            answer = self.create(tools=[TOOL], messages=messages)
            self.assertEqual(answer.content[0].text, AFTERWARDS)

    def test_streamed_calls_are_the_same(self):
        self.say({"text": "I look. " + call_text("Oslo", "Bergen"), "split": "random:5"})
        events = self.items(self.create(tools=[TOOL], stream=True))
        blocks = {}
        for event in events:
            if event.type == "content_block_start":
                blocks[event.index] = [event.content_block.type, ""]
            elif event.type == "content_block_delta":
                delta = event.delta
                blocks[event.index][1] += (
                    delta.text if delta.type == "text_delta" else delta.partial_json
                )
        kinds = [kind for kind, _ in blocks.values()]
        self.assertEqual(kinds, ["text", "tool_use", "tool_use"])
        self.assertEqual(
            [text for _, text in blocks.values()][1:], ['{"city": "Oslo"}', '{"city": "Bergen"}']
        )
        end = next(event for event in events if event.type == "message_delta")
        self.assertEqual(end.delta.stop_reason, "tool_use")

    def test_tool_choices(self):
        self.say({"text": call_text("Oslo")})
        none = self.create(tools=[TOOL], tool_choice={"type": "none"})
        self.assertEqual([block.type for block in none.content], ["text"])
        self.say(*FORCED)
        for choice in ({"type": "tool", "name": "get_weather"}, {"type": "any"}):
            answer = self.create(tools=[TOOL], tool_choice=choice)
            self.assertEqual(answer.content[-1].input, {"city": "Oslo"})
        self.say({"text": call_text("Oslo", "Bergen")})
        choice = {"type": "auto", "disable_parallel_tool_use": True}
        one = self.create(tools=[TOOL], tool_choice=choice)
        self.assertEqual(len([block for block in one.content if block.type == "tool_use"]), 1)

    def test_thinking_is_a_block(self):
        self.say({"text": THINKING})
        answer = self.create(extra_body={"thinking": {"type": "enabled", "budget_tokens": 1024}})
        self.assertEqual([block.type for block in answer.content], ["thinking", "text"])
        self.assertEqual(answer.content[0].thinking, THOUGHT)
        self.assertEqual(answer.content[1].text, "It rains.")
        events = self.items(self.create(stream=True))
        deltas = [event.delta for event in events if event.type == "content_block_delta"]
        thought = "".join(d.thinking for d in deltas if d.type == "thinking_delta")
        self.assertEqual(thought, THOUGHT)

    def test_an_answer_goes_on_with_a_prefill(self):
        self.say({"match": "assistant\nThe galley", "text": " has oars."}, {"text": "wrong"})
        messages = [*SAY_IT, {"role": "assistant", "content": "The galley"}]
        self.assertEqual(self.create(messages=messages).content[0].text, " has oars.")

    def test_the_helper_of_streams_agrees(self):
        if isinstance(self.client, Waiting):
            self.skipTest("the synchronous client has shown it")
        self.say({"text": call_text("Oslo")})
        options = {"model": "demo", "messages": SAY_IT, "max_tokens": 200, "tools": [TOOL]}
        with self.client.messages.stream(**options) as stream:
            message = stream.get_final_message()
        self.assertEqual(message.content[-1].input, {"city": "Oslo"})

    def test_errors_are_raised_as_their_class(self):
        for kind, options in (
            (anthropic.BadRequestError, {"max_tokens": -1}),
            (anthropic.NotFoundError, {"model": "other"}),
            (anthropic.PermissionDeniedError, {"extra_headers": {"Origin": "http://evil.test"}}),
            (anthropic.BadRequestError, {"messages": [{"role": "user", "content": "a " * 20000}]}),
        ):
            with self.assertRaises(kind) as caught:
                self.create(**options)
            self.assertTrue(caught.exception.request_id)
            self.assertRegex(caught.exception.body["error"]["message"], "^TRI-")
        with self.assertRaises(anthropic.AuthenticationError):
            self.make(api_key="wrong").models.list()
        self.say({"words": 9, "act": "fail", "at": 2})
        with self.assertRaises(anthropic.InternalServerError) as caught:
            self.create()
        self.assertTrue(caught.exception.request_id)

    def test_an_error_in_mid_stream_is_raised(self):
        self.say({"words": 9, "act": "fail", "at": 4})
        stream = self.create(stream=True)
        with self.assertRaises(anthropic.APIError) as caught:
            self.items(stream)
        self.assertIn("TRI-STEP-001", str(caught.exception))


class AsyncTest(SyncTest):
    def make(self, **options):
        options = {"api_key": KEY, "max_retries": 0, "timeout": 20, **options}
        client = anthropic.AsyncAnthropic(base_url=self.doors.url, **options)
        return Waiting(client, self.loop)

    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        super().setUp()

    def items(self, stream):
        return self.client.items(stream)


class RetryTest(unittest.TestCase):
    def test_overload_is_told_and_retry_after_obeyed(self):
        with full_doors() as doors:
            client = anthropic.Anthropic(base_url=doors.url, api_key="none", max_retries=0)
            options = {"model": "demo", "messages": SAY_IT, "max_tokens": 20}
            doors.rank.tell("stall")
            streams = [client.messages.create(**options, stream=True) for _ in range(2)]
            with self.assertRaises(anthropic.APIStatusError) as caught:
                client.messages.create(**options)
            self.assertEqual(caught.exception.status_code, 529)
            wait_s = int(caught.exception.response.headers["retry-after-ms"]) / 1000
            begin = time.monotonic()
            with self.assertRaises(anthropic.APIStatusError):
                client.with_options(max_retries=1).messages.create(**options)
            self.assertGreaterEqual(time.monotonic() - begin, 0.95 * wait_s)
            doors.rank.tell("go")
            for stream in streams:
                self.assertTrue(list(stream))


if __name__ == "__main__":
    print("anthropic", anthropic.__version__)
    main()
