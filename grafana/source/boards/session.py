"""Claude Code Session: one session's story, from its first prompt to its last."""

from ..board import Board
from ..panels import COLORS, COUNT, MILLISECONDS, TOKENS, USD
from ..panels import bars, event, logs, pie, stat, table
from .overview import LIST_PRICE

STORY = [
    ("user_prompt", "PROMPT    {{.prompt_length}} characters {{.prompt}}"),
    ("api_request", "REQUEST   {{.model}}, {{.input_tokens}} in, {{.output_tokens}} out, {{.cache_read_tokens}} cached, {{.duration_ms}} ms, ${{.cost_usd}}"),
    ("tool_decision", "DECISION  {{.tool_name}} {{.decision}} by {{.source}}"),
    ("tool_result", "TOOL      {{.tool_name}} success {{.success}}, {{.duration_ms}} ms"),
    ("api_error", "ERROR     {{.model}} status {{.status_code}}: {{.error}}"),
]


def board(events):
    board = Board("claude-code-session", "claude-code-session" + events.suffix, "Claude Code Session",
                  "One session's story. Opened by a click in Claude Code Sessions.",
                  ["prometheus", "victorialogs" if events.suffix else "loki"], variables=("session", "team", "project", "sender"))

    def ask(expr, legend="", when="total"):
        return event(events, events.of_session(expr), legend, when)

    def number(title, text, **where):
        return stat(title, text, ask(events.count("total", **where)), COUNT)

    request = {"event": "api_request"}
    board.row("The session")
    board.line(
        4,
        stat("Cost", LIST_PRICE, ask(events.total("cost_usd", "total", **request)), USD),
        number("Prompts", "Prompts that the user sent.", event="user_prompt"),
        number("Requests", "Requests that succeeded.", **request),
        number("Tools run", "Tool calls that ran.", event="tool_result"),
        stat("Output tokens", "What the models wrote.", ask(events.total("output_tokens", "total", **request)), TOKENS),
        stat("Waiting for the API", "All requests' durations, summed.", ask(events.total("duration_ms", "total", **request)), MILLISECONDS),
    )
    board.line(
        8,
        bars("Cost by model", LIST_PRICE, ask(events.total("cost_usd", "bars", "model", **request), "{{model}}"), USD, interval="1m"),
        pie("Tools", "Calls that ran.", ask(events.count("total", "tool_name", event="tool_result"), "{{tool_name}}"), COUNT),
        pie("Decisions", "Accepted and rejected tool calls.", ask(events.count("total", "decision", event="tool_decision"), "{{decision}}"), COUNT, overrides=COLORS),
        table("Dearest prompts", f"What each prompt led to. {LIST_PRICE}", ask(events.total("cost_usd", "total", "prompt_id", top=20, **request)),
              [(events.field("prompt_id"), "Prompt", None), (events.value(), "Cost", USD)], sort="Cost", width=90),
    )
    board.row("Its story")
    names = [name for name, _ in STORY]
    story = events.of_session(events.lines(names, STORY))
    board.line(24, logs("Story", "Prompts, requests, decisions, tools and errors in the order of time.", event(events, story, when="lines"), ascending=True))
    return board
