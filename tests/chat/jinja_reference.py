"""The reference: Jinja in the environment that chat templates are written for."""

import datetime
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    """{% generation %} prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("print_body")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def print_body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def environment(now, optimized=True):
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols],
        optimized=optimized,
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    moment = datetime.datetime.fromisoformat(now)
    made.globals["strftime_now"] = lambda format: moment.strftime(format)
    return made


def outcome(work):
    """{"text"} of what `work` returns, or {"error": {"type", "message"}}."""
    try:
        text = work()
        text.encode("utf-8")
        return {"text": text}
    except Exception as error:  # every kind is an outcome that is compared
        return {"error": {"type": type(error).__name__, "message": str(error)}}


def renderer(made, source):
    """A function from variables to an outcome; `source` is compiled once."""
    compiled = []
    failure = outcome(lambda: compiled.append(made.from_string(source)) or "")
    if not compiled:
        return lambda variables: failure
    return lambda variables: outcome(lambda: compiled[0].render(**variables))
