#!/usr/bin/env python3
"""The official OpenAI client, unmodified, synchronous and not, against the door."""

import asyncio
import json
import time
import unittest

import openai
import client_case  # noqa: F401
from client_case import AFTERWARDS, FORCED, KEY, OTHER_TOOL, RESULT, SAID
from client_case import THINKING, THOUGHT, TOOL, WITH_RESULT, ClientCase, Waiting, call_text
from client_case import full_doors
from door_main import main

SAY_IT = [{"role": "user", "content": "Say it."}]


class SyncTest(ClientCase):
    def make(self, **options):
        options = {"api_key": KEY, "max_retries": 0, "timeout": 20, **options}
        return openai.OpenAI(base_url=self.doors.url + "/v1", **options)

    def setUp(self):
        super().setUp()
        self.client = self.make()

    def items(self, stream):
        return list(stream)

    def chat(self, **options):
        return self.client.chat.completions.create(
            **{"model": "demo", "messages": SAY_IT, **options}
        )

    def test_models_are_listed_and_retrieved(self):
        models = self.items(self.client.models.list())
        self.assertEqual([model.id for model in models], ["demo"])
        self.assertEqual(self.client.models.retrieve("demo").owned_by, "trireme")

    def test_an_answer_streamed_and_not(self):
        whole = self.chat()
        self.assertEqual(whole.choices[0].message.content, SAID)
        self.assertEqual(whole.choices[0].finish_reason, "stop")
        self.assertTrue(whole.id.startswith("chatcmpl-"))
        self.assertRegex(whole.system_fingerprint, "^fp_[0-9a-f]{12}$")
        self.assertTrue(whole._request_id)
        chunks = self.items(self.chat(stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, SAID)
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage, whole.usage.model_copy(update=dict(chunks[-1].usage)))
        self.assertEqual(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens)
        self.assertEqual({c.id for c in chunks}.__len__(), 1)

    def test_completions_take_texts_and_ids(self):
        answer = self.client.completions.create(model="demo", prompt="Say it.", max_tokens=64)
        self.assertEqual(answer.choices[0].text, SAID)
        both = self.client.completions.create(model="demo", prompt=["a", "b"], max_tokens=64)
        self.assertEqual([c.index for c in both.choices], [0, 1])
        ids = self.client.completions.create(model="demo", prompt=[300, 301], max_tokens=64)
        self.assertEqual(ids.usage.prompt_tokens, 2)
        self.assertEqual(ids.choices[0].text, SAID)
        short = self.client.completions.create(model="demo", prompt="a", max_tokens=3, echo=True)
        self.assertTrue(short.choices[0].text.startswith("a"))
        self.assertEqual(short.choices[0].finish_reason, "length")
        logprobs = self.client.completions.create(
            model="demo", prompt="a", max_tokens=3, logprobs=2
        )
        self.assertEqual(len(logprobs.choices[0].logprobs.tokens), 3)
        self.assertEqual(len(logprobs.choices[0].logprobs.text_offset), 3)

    def test_usage_counts_cached_tokens(self):
        messages = [{"role": "user", "content": "A long story about oars. " * 40}]
        first = self.chat(messages=messages).usage
        again = self.chat(messages=messages).usage
        self.assertEqual(first.prompt_tokens, again.prompt_tokens)
        self.assertEqual(first.total_tokens, first.prompt_tokens + first.completion_tokens)
        self.assertGreaterEqual(again.prompt_tokens_details.cached_tokens, 32)
        self.assertLess(again.prompt_tokens_details.cached_tokens, again.prompt_tokens)

    def test_n_stop_and_seed(self):
        answer = self.chat(n=3, seed=-5, temperature=1)
        self.assertEqual([c.index for c in answer.choices], [0, 1, 2])
        stopped = self.chat(stop=["oars"])
        self.assertEqual(stopped.choices[0].message.content, SAID.split("oars")[0])
        self.assertEqual(stopped.choices[0].finish_reason, "stop")
        cut = self.chat(max_completion_tokens=2)
        self.assertEqual((cut.choices[0].finish_reason, cut.usage.completion_tokens), ("length", 2))
        chunks = self.items(self.chat(n=2, stream=True))
        for index in range(2):
            parts = [c.choices[0] for c in chunks if c.choices and c.choices[0].index == index]
            self.assertEqual("".join(p.delta.content or "" for p in parts), SAID)

    def test_logprobs_list_every_token_with_its_bytes(self):
        answer = self.chat(logprobs=True, top_logprobs=2)
        content = answer.choices[0].logprobs.content
        said = b"".join(bytes(entry.bytes) for entry in content)
        self.assertTrue(said.startswith(SAID.encode()), said)
        self.assertEqual({len(entry.top_logprobs) for entry in content}, {2})
        self.assertTrue(all(entry.logprob <= 0 for entry in content))
        chunks = self.items(self.chat(logprobs=True, stream=True))
        streamed = [
            e
            for c in chunks
            if c.choices and c.choices[0].logprobs
            for e in c.choices[0].logprobs.content
        ]
        self.assertEqual([e.token for e in streamed], [e.token for e in content])

    def check_calls(self, message, cities):
        self.assertEqual(
            [call.function.name for call in message.tool_calls], ["get_weather"] * len(cities)
        )
        found = [json.loads(call.function.arguments)["city"] for call in message.tool_calls]
        self.assertEqual(found, list(cities))
        for call in message.tool_calls:
            self.assertRegex(call.id, "^(call_[A-Za-z0-9]{24}|[A-Za-z0-9]{9})$")

    def test_a_call_and_its_result(self):
        for cities in (("Oslo",), ("Oslo", "Bergen")):
            self.say(WITH_RESULT, {"text": call_text(*cities)})
            answer = self.chat(tools=[TOOL]).choices[0]
            self.assertEqual(answer.finish_reason, "tool_calls")
            self.check_calls(answer.message, cities)
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": RESULT}
                for call in answer.message.tool_calls
            ]
            messages = [*SAY_IT, answer.message, *results]
            self.assertEqual(
                self.chat(messages=messages, tools=[TOOL]).choices[0].message.content, AFTERWARDS
            )

    def test_streamed_calls_are_the_same(self):
        self.say({"text": call_text("Oslo", "Bergen"), "split": "random:3"})
        calls = {}
        chunks = self.items(self.chat(tools=[TOOL], stream=True))
        for delta in (c.choices[0].delta for c in chunks if c.choices):
            for part in delta.tool_calls or []:
                if part.index not in calls:
                    self.assertEqual((part.type, part.function.name), ("function", "get_weather"))
                    self.assertTrue(part.id)
                    calls[part.index] = ""
                calls[part.index] += part.function.arguments or ""
        self.assertEqual([json.loads(text)["city"] for text in calls.values()], ["Oslo", "Bergen"])
        self.assertEqual(chunks[-1].choices[0].finish_reason, "tool_calls")

    def test_tool_choices(self):
        tools = [TOOL, OTHER_TOOL]
        self.say({"text": call_text("Oslo")})
        none = self.chat(tools=tools, tool_choice="none").choices[0]
        self.assertIsNone(none.message.tool_calls)
        self.assertEqual(none.message.content, call_text("Oslo"))
        self.say(*FORCED)
        named = {"type": "function", "function": {"name": "get_weather"}}
        self.check_calls(self.chat(tools=tools, tool_choice=named).choices[0].message, ["Oslo"])
        self.check_calls(
            self.chat(tools=tools, tool_choice="required").choices[0].message, ["Oslo"]
        )
        self.say({"text": call_text("Oslo", "Bergen")})
        one = self.chat(tools=tools, parallel_tool_calls=False).choices[0]
        self.check_calls(one.message, ["Oslo"])

    def test_reasoning_stands_apart(self):
        self.say({"text": THINKING})
        answer = self.chat()
        message = answer.choices[0].message
        self.assertEqual((message.content, message.reasoning_content), ("It rains.", THOUGHT))
        self.assertGreater(answer.usage.completion_tokens_details.reasoning_tokens, 3)
        deltas = [c.choices[0].delta for c in self.items(self.chat(stream=True)) if c.choices]
        self.assertEqual(
            "".join(getattr(d, "reasoning_content", None) or "" for d in deltas), THOUGHT
        )
        self.assertEqual("".join(d.content or "" for d in deltas), "It rains.")

    def test_an_answer_goes_on_with_the_last_message(self):
        self.say({"match": "assistant\nThe galley", "text": " has oars."}, {"text": "wrong"})
        messages = [*SAY_IT, {"role": "assistant", "content": "The galley"}]
        more = {"continue_final_message": True, "add_generation_prompt": False}
        answer = self.chat(messages=messages, extra_body=more)
        self.assertEqual(answer.choices[0].message.content, " has oars.")

    def test_responses(self):
        answer = self.client.responses.create(
            model="demo", input="Say it.", instructions="Briefly."
        )
        self.assertEqual((answer.output_text, answer.status), (SAID, "completed"))
        self.assertGreater(answer.usage.input_tokens, 0)
        self.assertEqual(
            answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens
        )
        events = self.items(
            self.client.responses.create(model="demo", input="Say it.", stream=True)
        )
        self.assertEqual(
            (events[0].type, events[-1].type), ("response.created", "response.completed")
        )
        numbers = [event.sequence_number for event in events]
        self.assertEqual(numbers, list(range(len(events))))
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertEqual(text, SAID)
        cut = self.client.responses.create(model="demo", input="Say it.", max_output_tokens=2)
        self.assertEqual(
            (cut.status, cut.incomplete_details.reason), ("incomplete", "max_output_tokens")
        )

    def test_errors_are_raised_as_their_class(self):
        cases = [
            (openai.BadRequestError, {"temperature": -1}),
            (openai.BadRequestError, {"response_format": {"type": "json_object"}}),
            (openai.NotFoundError, {"model": "other"}),
        ]
        for kind, options in cases:
            with self.assertRaises(kind) as caught:
                self.chat(**options)
            self.assertTrue(caught.exception.request_id)
            self.assertRegex(caught.exception.body["message"], "^TRI-")
        long = [{"role": "user", "content": "word " * 20000}]
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(messages=long)
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.make(api_key="wrong").models.list()
        self.assertEqual(caught.exception.code, "invalid_api_key")
        self.chat(extra_headers={"Idempotency-Key": "a"})
        with self.assertRaises(openai.UnprocessableEntityError):
            self.chat(extra_headers={"Idempotency-Key": "a"}, max_tokens=3)
        with self.assertRaises(openai.PermissionDeniedError):
            self.chat(extra_headers={"Origin": "http://evil.test"})
        self.say({"words": 9, "act": "fail", "at": 2})
        with self.assertRaises(openai.InternalServerError) as caught:
            self.chat()
        self.assertTrue(caught.exception.request_id)

    def test_an_error_in_mid_stream_is_raised(self):
        self.say({"words": 9, "act": "fail", "at": 4})
        stream = self.chat(stream=True)
        with self.assertRaises(openai.APIError) as caught:
            self.items(stream)
        self.assertIn("TRI-STEP-001", str(caught.exception))


class AsyncTest(SyncTest):
    def make(self, **options):
        options = {"api_key": KEY, "max_retries": 0, "timeout": 20, **options}
        client = openai.AsyncOpenAI(base_url=self.doors.url + "/v1", **options)
        return Waiting(client, self.loop)

    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        super().setUp()

    def items(self, stream):
        return self.client.items(stream)


class RetryTest(unittest.TestCase):
    def test_retry_after_is_obeyed(self):
        with full_doors() as doors:
            client = openai.OpenAI(base_url=doors.url + "/v1", api_key="none", max_retries=0)
            doors.rank.tell("stall")
            streams = [
                client.chat.completions.create(model="demo", messages=SAY_IT, stream=True)
                for _ in range(2)
            ]
            with self.assertRaises(openai.RateLimitError) as caught:
                client.chat.completions.create(model="demo", messages=SAY_IT)
            wait_s = int(caught.exception.response.headers["retry-after-ms"]) / 1000
            begin = time.monotonic()
            with self.assertRaises(openai.RateLimitError):
                patient = client.with_options(max_retries=1)
                patient.chat.completions.create(model="demo", messages=SAY_IT)
            self.assertGreaterEqual(time.monotonic() - begin, 0.95 * wait_s)
            doors.rank.tell("go")
            for stream in streams:
                self.assertTrue(list(stream))


if __name__ == "__main__":
    print("openai", openai.__version__)
    main()
