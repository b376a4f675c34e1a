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
    link = {"title": "The session's story", "targetBlank": False,
            "url": f"/d/claude-code-session{events.suffix}?var-session=${{__value.raw}}&${{__url_time_range}}"}
    overrides = [{"matcher": {"id": "byName", "options": "Session"},
                  "properties": [{"id": "links", "value": [link]}, {"id": "custom.width", "value": 340}]}]
    units = {"Started": "dateTimeAsIso", "Cost": USD}
    columns = [(events.field("session_id"), "Session", None), ("project", "Project", None)]
    columns += [(events.value(name), name, units.get(name, COUNT)) for name in MEASURES]
    queries, steps = events.session_list(MEASURES, LISTED_MAX)
    queries = [ask(query, ref=name) for query, name in zip(queries, MEASURES)]
    if events.suffix:
        queries[0].when = "lines"
    return table("Sessions", f"The {LISTED_MAX} dearest; a click on one opens its story. {LIST_PRICE}", queries, columns,
                 steps=steps, sort="Cost", overrides=overrides)


# Column → the event that is counted; the first two are the session's start and its cost.
MEASURES = {"Started": None, "Cost": None, "Prompts": "user_prompt", "Requests": "api_request", "Tools": "tool_result",
            "Errors": "api_error"}
