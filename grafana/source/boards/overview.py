"""Claude Code Overview: what it costs, who uses it and for what, from counters; two facts from events."""

from ..board import Board
from ..panels import COLORS, COUNT, MILLISECONDS, PERCENT, HOURS, RATE_MIN, TOKENS as TOKEN_UNIT, USD
from ..panels import TEN, Query, bars, event, gauge, graph, logs, pie, ranking, stat
from ..queries import ACTIVE, COMMITS, COST, DECISIONS, LINES, PULL_REQUESTS, SESSIONS, TOKENS, bars as steps, rate, total

LIST_PRICE = "At list price, as Claude Code computes it. Under a subscription this is not a bill."


def board(events):
    board = Board("claude-code-overview", "claude-code-overview" + events.suffix, "Claude Code Overview",
                  "Cost, tokens, sessions and code, exact for any time range.",
                  ["prometheus", "victorialogs" if events.suffix else "loki"])
    board.row("In this time range")
    board.line(
        4,
        stat("Cost", f"{LIST_PRICE} In the time range.", Query(total(COST)), USD),
        stat("Cost today", f"{LIST_PRICE} Since midnight in your time zone.", Query(total(COST)), USD, today="now/d"),
        stat("Tokens", "Input, output, cache reads and cache writes.", Query(total(TOKENS)), TOKEN_UNIT),
        stat("Sessions", "Sessions that have a prompt or a request.", event(events, events.sessions("total")), COUNT),
        stat("Active time", "The user at the keyboard, and Claude Code at work.", Query(total(ACTIVE)), HOURS),
        stat("Lines changed", "Added and removed by edits that were accepted.", Query(total(LINES)), COUNT),
        stat("Commits", "Made by Claude Code's shell.", Query(total(COMMITS)), COUNT),
        stat("Pull requests", "Opened by Claude Code.", Query(f"{total(PULL_REQUESTS)} or vector(0)"), COUNT),
    )
    cost(board)
    work(board, events)
    board.row("Events")
    board.line(10, logs("Errors", "Requests to the API that failed for good or were refused, newest first.",
                        event(events, events.lines(["api_error", "api_refusal"],
                                                   [("api_error", "{{.model}} status {{.status_code}} after {{.attempt}} attempts: {{.error}}"),
                                                    ("api_refusal", "{{.model}} refused")]), when="lines")),
               logs("Tool decisions", "What was accepted or rejected, and by whom, newest first.",
                    event(events, events.lines(["tool_decision"],
                                               [("tool_decision", "{{.tool_name}} {{.decision}} by {{.source}}")]), when="lines")))
    return board


def cost(board):
    board.row("Cost and tokens")
    board.line(
        8,
        bars("Cost by model", f"{LIST_PRICE} Bars add up to the total.",
             Query(steps(COST, by="model"), "{{model}}"), USD),
        bars("Tokens by type", "Bars add up to the total.", Query(steps(TOKENS, by="type"), "{{type}}"),
             TOKEN_UNIT, overrides=COLORS),
    )
    board.line(
        8,
        pie("Cost by model, share", LIST_PRICE, Query(total(COST, by="model"), "{{model}}"), USD, placement="bottom"),
        ranking("Cost by project", f"The ten dearest. {LIST_PRICE}",
                Query(f"sort_desc(topk(10, {total(COST, by='project')}))", "{{project}}"), USD),
        ranking("Cost by team", f"The ten dearest. {LIST_PRICE}",
                Query(f"sort_desc(topk(10, {total(COST, by='team')}))", "{{team}}"), USD),
    )
    board.line(
        8,
        graph("Spending rate", f"Dollars an hour. {LIST_PRICE}", Query(f"{rate(COST)} * 3600", "USD/h"), USD, interval=RATE_MIN),
        graph("Token rate", "Tokens a minute, by type.", Query(f"{rate(TOKENS, by='type')} * 60", "{{type}}"),
              TOKEN_UNIT, interval=RATE_MIN, overrides=COLORS),
        gauge("Cache hits", "Tokens read from the cache, of all that went in: read ÷ (input + read + written).",
              Query(cache_hits()), 50, 80),
    )


def cache_hits(window="$__range"):
    read = total(TOKENS, 'type="cacheRead"', window=window)
    went_in = total(TOKENS, 'type=~"input|cacheRead|cacheCreation"', window=window)
    return f"100 * {read} / {went_in}"


def work(board, events):
    board.row("Work")
    errors = {"event": "api_error"}
    board.line(
        8,
        bars("Sessions started", "Starts of Claude Code's process: a resumed session starts again, and one after /clear does not.",
             Query(steps(SESSIONS, by="start_type"), "{{start_type}}"), COUNT),
        bars("Code changes", "Lines, by whether they were added or removed.",
             Query(steps(LINES, by="type"), "{{type}}"), COUNT, overrides=COLORS),
        bars("Commits and pull requests", "Made by Claude Code.",
             [Query(steps(COMMITS), "commits"), Query(steps(PULL_REQUESTS), "pull requests")], COUNT),
    )
    board.line(
        TEN,
        bars("Edit decisions", "Edits that were accepted or rejected.",
             Query(steps(DECISIONS, by="decision"), "{{decision}}"), COUNT, overrides=COLORS),
        bars("Requests by model", "Requests to the API that succeeded.",
             event(events, events.count("bars", "model", event="api_request"), "{{model}}"), COUNT),
        ranking("Tools", "The ten tools that ran most.",
                event(events, events.count("total", "tool_name", top=10, event="tool_result"), "{{tool_name}}"), COUNT),
    )
    # What has many names in its legend is wider.
    for width, panel in [
        (8, graph("Request duration", "Of successful requests: the median and the 95th percentile.",
                  [event(events, events.quantile(0.5, "duration_ms", "bars", "model", event="api_request"), "{{model}} p50"),
                   event(events, events.quantile(0.95, "duration_ms", "bars", "model", event="api_request"), "{{model}} p95")],
                  MILLISECONDS, interval="5m")),
        (6, graph("Request errors", "Requests that failed for good.",
                  event(events, events.count("bars", event="api_error"), "errors"), COUNT, as_bars=True, overrides=COLORS)),
        (4, stat("Error rate", "Failed requests, of all.",
                 event(events, failed(events, errors)), PERCENT, defaults={"decimals": 2})),
        (6, ranking("Tool success", "Of the tools that ran, the share that succeeded.",
                    event(events, events.ratio("total", {"event": "tool_result", "success": "true"}, {"event": "tool_result"}, "tool_name"), "{{tool_name}}"),
                    PERCENT, defaults={"max": 100})),
    ]:
        board.add(width, TEN, panel)
    board.end_line()


def failed(events, errors):
    """Errors ÷ (requests + errors), in percent."""
    if events.suffix:
        where = events.where(event=["api_request", "api_error"])
        return f'{where} | stats count() if (event.name:="api_error") as failed, count() as every | math 100 * failed / every as value | fields value'
    every = events.where(event=["api_request", "api_error"])
    bad = events.count("total", **errors)
    return f"100 * ({bad} or vector(0)) / sum(count_over_time({every} [$__range]))"
