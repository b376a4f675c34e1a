"""Claude Code Sessions: the list. A click on one opens its story."""

from ..board import Board
from ..panels import COUNT, SECONDS, TOKENS, USD
from ..panels import event, graph, stat, table
from .overview import LIST_PRICE

LISTED_MAX = 100


def board(events):
    board = Board("claude-code-sessions", "claude-code-sessions" + events.suffix, "Claude Code Sessions",
                  "The dearest sessions; a click opens one.", ["prometheus", "victorialogs" if events.suffix else "loki"])

    def ask(expr, legend="", ref=""):
        return event(events, expr, legend, ref=ref)

    board.row("In this time range")
    board.line(
        4,
        stat("Sessions", "Sessions that have a prompt or a request.", ask(events.sessions("total")), COUNT),
        stat("Cost / session", f"Both from events. {LIST_PRICE}", ask(events.cost_per_session("total")), USD),
        stat("Tokens / session", "All types of tokens.", ask(events.tokens_per_session("total")), TOKENS),
        stat("Duration / session", "From a session's first event to its last.", ask(events.session_seconds("total")), SECONDS),
    )
    board.line(8, graph("Sessions at work", "Distinct sessions with a prompt or a request in each step.",
                        ask(events.sessions("bars"), "sessions"), COUNT, as_bars=True, interval="5m"))
    board.row("Sessions")
    board.line(20, sessions(events, ask))
    return board


def sessions(events, ask):
    key = events.field("session_id")
    top = LISTED_MAX
    columns = [
        ("started", "Started", events.edges("min", 10 * top), "dateTimeAsIso"),
        ("cost", "Cost", events.total("cost_usd", "total", "session_id, project", top=top, event="api_request"), USD),
        ("prompts", "Prompts", events.count("total", "session_id", top=10 * top, event="user_prompt"), COUNT),
        ("requests", "Requests", events.count("total", "session_id", top=10 * top, event="api_request"), COUNT),
        ("tools", "Tools", events.count("total", "session_id", top=10 * top, event="tool_result"), COUNT),
        ("errors", "Errors", events.count("total", "session_id", top=10 * top, event="api_error"), COUNT),
    ]
    queries = [ask(query, ref=ref) for ref, _, query, _ in columns]
    shown = [(f"{events_value(events)} #{ref}", title, unit) for ref, title, _, unit in columns]
    link = {"title": "The session's story", "targetBlank": False,
            "url": f"/d/claude-code-session{events.suffix}?var-session=${{__value.raw}}&${{__url_time_range}}&${{prometheus:queryparam}}"}
    overrides = [{"matcher": {"id": "byName", "options": "Session"}, "properties": [{"id": "links", "value": [link]}, {"id": "custom.width", "value": 320}]}]
    panel = table("Sessions", f"The {top} dearest; a click on one opens its story. {LIST_PRICE}", queries,
                  [(key, "Session", None), ("project", "Project", None), *shown], key=key, sort="Cost", overrides=overrides)
    # Of the columns that know more sessions, those that are among the dearest.
    panel["transformations"].append({"id": "filterByValue", "options": {
        "type": "exclude", "match": "any", "filters": [{"fieldName": "Cost", "config": {"id": "isNull", "options": {}}}]}})
    return panel


def events_value(events):
    return "value" if events.suffix else "Value"
