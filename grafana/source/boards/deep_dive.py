"""Claude Code Deep Dive: every prompt, request, tool and error, from events alone."""

from ..board import Board
from ..panels import BYTES, COLORS, COUNT, MILLISECONDS, PERCENT, TEN, TOKENS, USD
from ..panels import bars, event, graph, logs, pie, ranking, stat, table
from .overview import LIST_PRICE, failed

PROMPT = ("user_prompt", "{{.prompt_length}} characters, session {{.session_id}}")
REQUEST = ("api_request", "{{.model}}: {{.input_tokens}} in, {{.output_tokens}} out, {{.duration_ms}} ms, ${{.cost_usd}}")
TOOL = ("tool_result", "{{.tool_name}}: success {{.success}}, {{.duration_ms}} ms")
DECISION = ("tool_decision", "{{.tool_name}} {{.decision}} by {{.source}}")
ERROR = ("api_error", "{{.model}} status {{.status_code}} after {{.attempt}} attempts: {{.error}}")


def board(events):
    board = Board("claude-code-deep", "claude-code-deep" + events.suffix, "Claude Code Deep Dive",
                  "Prompts, requests, tools and errors, one by one and counted.",
                  ["prometheus", "victorialogs" if events.suffix else "loki"])

    def ask(expr, legend="", when="total"):
        return event(events, expr, legend, when)

    def number(title, description, unit=COUNT, **where):
        return stat(title, description, ask(events.count("total", **where)), unit)

    board.row("In this time range")
    board.line(
        4,
        stat("Sessions", "Sessions that have a prompt or a request.", ask(events.sessions("total")), COUNT),
        number("Prompts", "Prompts that a user sent.", event="user_prompt"),
        number("Requests", "Requests to the API that succeeded.", event="api_request"),
        number("Tools run", "Tool calls that ran.", event="tool_result"),
        number("Errors", "Requests that failed for good.", event="api_error"),
        number("Rejected", "Tool calls that the user or a rule rejected.", event="tool_decision", decision="reject"),
        stat("Cost", f"{LIST_PRICE} By events.", ask(events.total("cost_usd", "total", event="api_request")), USD),
        stat("Error rate", "Failed requests, of all.", ask(failed(events, {"event": "api_error"})), PERCENT, defaults={"decimals": 2}),
    )
    board.line(8, bars("Events over time", "All events by name.",
                       ask(every(events, "event_name"), "{{event_name}}"), COUNT))
    requests(board, events, ask)
    tools(board, events, ask)
    prompts(board, events, ask)
    return board


def every(events, by):
    if events.suffix:
        return events.stats(events.stream(), by, "count() as value")
    return f"sum by ({by}) (count_over_time({events.everything()} {events.window('bars')}))"


def requests(board, events, ask):
    request = {"event": "api_request"}
    board.row("Models and requests")
    board.line(
        8,
        bars("Requests by model", "Requests that succeeded.", ask(events.count("bars", "model", **request), "{{model}}"), COUNT),
        bars("Cost by model", f"{LIST_PRICE} By events.", ask(events.total("cost_usd", "bars", "model", **request), "{{model}}"), USD),
        graph("Response time by model", "From sending to the last token: the median and the 95th percentile.",
              [ask(events.quantile(0.5, "duration_ms", "bars", "model", **request), "{{model}} p50"),
               ask(events.quantile(0.95, "duration_ms", "bars", "model", **request), "{{model}} p95")], MILLISECONDS, interval="5m"),
    )
    board.line(
        8,
        graph("Cost per request", f"The mean of each model. {LIST_PRICE}",
              ask(events.average("cost_usd", "bars", "model", **request), "{{model}}"), USD, interval="5m"),
        bars("Input and output tokens", "What the model read beside the cache, and what it wrote.",
             [ask(events.total("input_tokens", "bars", **request), "input"),
              ask(events.total("output_tokens", "bars", **request), "output")], TOKENS, overrides=COLORS),
        bars("Cache tokens", "What was read from the cache, and written to it.",
             [ask(events.total("cache_read_tokens", "bars", **request), "cacheRead"),
              ask(events.total("cache_creation_tokens", "bars", **request), "cacheCreation")], TOKENS, overrides=COLORS),
    )
    board.line(
        8,
        table("Models by session", "The 50 dearest pairs of session and model.",
              ask(events.total("cost_usd", "total", "session_id, model", top=50, **request)),
              [(events.field("session_id"), "Session", None), ("model", "Model", None), (events.value(), "Cost", USD)], sort="Cost", width=90),
        ranking("Where requests come from", "The ten query sources with most requests: the main thread, subagents, compaction.",
                ask(events.count("total", "query_source", top=10, **request), "{{query_source}}"), COUNT),
        table("Failed requests", "By model and status.",
              ask(events.count("total", "model, status_code", top=20, event="api_error")),
              [("model", "Model", None), ("status_code", "Status", None), (events.value(), "Errors", COUNT)], sort="Errors", width=90),
    )


def tools(board, events, ask):
    ran, decided = {"event": "tool_result"}, {"event": "tool_decision"}
    board.row("Tools")
    board.line(
        TEN,
        pie("Tool distribution", "The twelve tools that ran most.", ask(events.count("total", "tool_name", top=12, **ran), "{{tool_name}}"), COUNT),
        ranking("Tool success", "Of the calls that ran, the share that succeeded.",
                ask(events.ratio("total", {**ran, "success": "true"}, ran, "tool_name"), "{{tool_name}}"), PERCENT, defaults={"max": 100}),
        pie("Tool decisions", "From decisions, so that rejected calls are in it.", ask(events.count("total", "decision", **decided), "{{decision}}"), COUNT, overrides=COLORS),
        pie("Who decided", "A rule, a hook, or the user.", ask(events.count("total", "source", **decided), "{{source}}"), COUNT, values=["percent"]),
    )
    board.line(
        TEN,
        bars("Tools over time", "Calls that ran.", ask(events.count("bars", "tool_name", **ran), "{{tool_name}}"), COUNT),
        graph("Tool duration", "The 95th percentile of each tool.",
              ask(events.quantile(0.95, "duration_ms", "bars", "tool_name", **ran), "{{tool_name}}"), MILLISECONDS, interval="5m"),
        ranking("Failures by tool", "Calls that ran and failed.",
                ask(events.count("total", "tool_name", top=10, success="false", **ran), "{{tool_name}}"), COUNT),
    )
    board.line(
        TEN,
        ranking("Result size by tool", "The mean of what each tool gave back.",
                ask(events.average("tool_result_size_bytes", "total", "tool_name", **ran), "{{tool_name}}"), BYTES),
        pie("MCP scope", "Calls of MCP tools, by where their server is configured.",
                ask(events.count("total", "mcp_server_scope", top=10, has="mcp_server_scope", **ran), "{{mcp_server_scope}}"), COUNT),
        ranking("Skills", f"The ten dearest. {LIST_PRICE}",
                ask(events.total("cost_usd", "total", "skill_name", top=10, has="skill_name", event="api_request"), "{{skill_name}}"), USD),
        ranking("Agents", f"The ten dearest subagents. {LIST_PRICE}",
                ask(events.total("cost_usd", "total", "agent_name", top=10, has="agent_name", event="api_request"), "{{agent_name}}"), USD),
    )


def prompts(board, events, ask):
    board.row("Prompts and the stream")
    board.line(
        8,
        graph("Prompt length", "Characters: the median and the 95th percentile.",
              [ask(events.quantile(0.5, "prompt_length", "bars", event="user_prompt"), "p50"),
               ask(events.quantile(0.95, "prompt_length", "bars", event="user_prompt"), "p95")], COUNT, interval="5m"),
        bars("Prompts over time", "Prompts that users sent.", ask(events.count("bars", event="user_prompt"), "prompts"), COUNT),
    )
    board.line(
        12,
        logs("Prompts, one by one", "Their length and session; the text only at privacy level full.", ask(events.lines(["user_prompt"], [PROMPT]), when="lines")),
        logs("Tools, one by one", "Calls that ran, newest first.", ask(events.lines(["tool_result"], [TOOL]), when="lines")),
    )
    board.line(14, logs("All events", "The newest 500.", ask(events.lines([], [PROMPT, REQUEST, TOOL, DECISION, ERROR]), when="lines")))
