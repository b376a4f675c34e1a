"""Claude Code: the 26 panels, by the names and in the sections of cc-otel's roadmap.

A panel that names its own window (24h, Today, Weekly) keeps to it; all others follow the time range.
"""

from ..board import Board
from ..panels import COLORS, COUNT, MILLISECONDS, PERCENT, HOURS, RATE_MIN, SECONDS, TEN, TOKENS as TOKEN_UNIT, USD, USD_IN_FULL
from ..panels import Query, bars, event, gauge, graph, of_query, pie, ranking, stat
from ..queries import ACTIVE, COST, DECISIONS, LINES, TOKENS, bars as steps, cost_of, grown, rate, series, total
from .overview import LIST_PRICE, cache_hits

DAY = "24h"
SPLIT = "Each model's cost, split by its tokens times what a type costs relative to input: 1 input, 5 output, 1.25 cache write, 0.1 cache read."


def board(events):
    board = Board("claude-code", "claude-code" + events.suffix, "Claude Code", "The 26 panels of the roadmap, counted exactly.",
                  ["prometheus", "victorialogs" if events.suffix else "loki"])

    def ask(expr, legend="", ref=""):
        return event(events, expr, legend, ref=ref)

    cost(board, ask, events)
    activity(board, ask, events)
    efficiency(board, ask, events)
    tools(board, ask, events)
    return board


def cost(board, ask, events):
    board.row("Cost")
    board.line(
        4,
        stat("Real-Time Cost Burn Rate", f"Dollars an hour, over the last 15 minutes. {LIST_PRICE}",
             Query(f"{rate(COST, window='15m')} * 3600 or vector(0)", "USD/h"), "suffix: USD/h", defaults={"decimals": 2}),
        stat("Total Cost Today", f"Since midnight in your time zone. {LIST_PRICE}", Query(total(COST)), USD, today="now/d"),
        stat("Cached Write Cost (24h)", f"{SPLIT} {LIST_PRICE}", Query(cost_of("cacheCreation")), USD, today=DAY),
        stat("Regular Input Cost (24h)", f"{SPLIT} {LIST_PRICE}", Query(cost_of("input")), USD, today=DAY),
        stat("Average Cost / Session", f"Both from events. {LIST_PRICE}", ask(events.cost_per_session("total")), USD),
        stat("Cost per 1K Tokens", f"All types of tokens. {LIST_PRICE}", Query(f"1000 * {total(COST)} / {total(TOKENS)}"), USD, defaults={"decimals": 4}),
    )
    board.line(
        8,
        stat("Cost Forecast", f"The next 30 days at the pace of a whole week, which has each weekday once: the last week's, and the quietest's and busiest's of the last four. {LIST_PRICE}",
             [Query(f"{weeks('last')} * 30 / 7", "at last week's pace"), Query(f"{weeks('min')} * 30 / 7", "at the quietest"),
              Query(f"{weeks('max')} * 30 / 7", "at the busiest")], USD),
        graph("Peak Cost Hours", f"What each hour cost, standing at its start. {LIST_PRICE}",
              Query(steps(COST), "cost"), USD, as_bars=True, interval="1h", maxDataPoints=2000),
        graph("Cost Anomaly Detection", f"Each hour beside the same hour a week before, all series summed first. {LIST_PRICE}",
              [Query(steps(COST), "this week"), Query(week_before(), "same hour, a week before"),
               Query(f"100 * ({steps(COST)} / ({week_before()} > 0) - 1)", "deviation")], USD, interval="1h", maxDataPoints=2000,
              overrides=[{"matcher": {"id": "byName", "options": "deviation"}, "properties": [
                  {"id": "unit", "value": PERCENT}, {"id": "custom.axisPlacement", "value": "right"},
                  {"id": "custom.drawStyle", "value": "points"}, {"id": "custom.showPoints", "value": "always"}]}]),
    )


def weeks(which):
    """One of the last four whole weeks' totals; a week before anything was counted is none."""
    if which == "last":
        return total(COST, window="7d")
    each = " or ".join(
        f'label_replace(sum({grown(series(COST), "7d", offset)}), "week", "{number}", "", "")'
        for number, offset in enumerate(["", "7d", "14d", "21d"])
    )
    return f"{which}(({each}) > 0)"


def week_before():
    x = series(COST)
    return f"sum (last_over_time({x}[1h] offset 6d23h) - (last_over_time({x}[13h] offset 1w) or min_over_time({x}[1h] offset 6d23h)))"


def activity(board, ask, events):
    board.row("Activity")
    board.line(
        6,
        stat("Active Time (24h)", "The user at the keyboard, and Claude Code at work.",
             Query(total(ACTIVE, by="type"), "{{type}}"), HOURS, today=DAY),
        stat("Active Sessions (24h)", "Sessions that have a prompt or a request.", ask(events.sessions("total")), COUNT, today=DAY),
        average_session(events, ask),
        stat("Total Tokens Today", "Since midnight in your time zone.", Query(total(TOKENS)), TOKEN_UNIT, today="now/d"),
    )
    board.line(
        8,
        bars("Lines of Code Modified", "By accepted edits; bars add up to the total.", Query(steps(LINES, by="type"), "{{type}}"), COUNT, overrides=COLORS),
        graph("Code Modification Velocity (lines/min)", "Added and removed.", Query(f"{rate(LINES, by='type')} * 60", "{{type}}"), COUNT, interval=RATE_MIN, overrides=COLORS),
        bars("Prompts Per Hour", "One bar an hour, standing at its start.", ask(events.count("bars", event="user_prompt"), "prompts"), COUNT, interval="1h", maxDataPoints=2000),
    )


def average_session(events, ask):
    title, text = "Average Session Metrics", f"Cost, tokens and the time between a session's first and last event, all from events. {LIST_PRICE}"
    queries = [ask(events.cost_per_session("total"), "cost"), ask(events.tokens_per_session("total"), "tokens"), ask(events.session_seconds("total"), "duration")]
    overrides = [of_query("A", "unit", USD_IN_FULL), of_query("A", "decimals", 2), of_query("C", "unit", SECONDS)]
    return stat(title, text, queries, TOKEN_UNIT, overrides=overrides)


def efficiency(board, ask, events):
    board.row("Tokens and efficiency")
    board.line(
        8,
        pie("Token Distribution by Model (24h)", "All types of tokens.", Query(total(TOKENS, by="model"), "{{model}}"), TOKEN_UNIT, placement="bottom", today=DAY),
        gauge("Cache Hit Rate %", "Tokens read from the cache, of all that went in: read ÷ (input + read + written).", Query(cache_hits()), 50, 80),
        ranking("Model Token Efficiency (tokens/$)", "All types of tokens a dollar at list price.",
                Query(f"sort_desc({total(TOKENS, by='model')} / ({total(COST, by='model')} > 0))", "{{model}}"), COUNT),
        stat("Weekly Total Token Usage", "The last seven days, and the seven before.",
             [Query(total(TOKENS, window="7d"), "last 7 days"), Query(total(TOKENS, window="7d", offset="7d"), "the 7 before")], TOKEN_UNIT),
    )
    board.line(8, graph("Token Usage Rate (24h)", "Tokens a minute, by type.", Query(f"{rate(TOKENS, by='type')} * 60", "{{type}}"),
                        TOKEN_UNIT, interval=RATE_MIN, today=DAY, overrides=COLORS))


def tools(board, ask, events):
    board.row("Tools and prompts")
    ran = events.count("total", "tool_name", top=12, event="tool_result")
    accepted, decided = total(DECISIONS, 'decision="accept"'), total(DECISIONS, 'decision=~"accept|reject"')
    board.line(
        TEN,
        gauge("Code Edit Acceptance Rate %", "Accepted edits, of those accepted or rejected.", Query(f"100 * {accepted} / {decided}"), 60, 85),
        ranking("Tool Usage Breakdown", "The twelve tools that ran most.", ask(ran, "{{tool_name}}"), COUNT),
        pie("Tool Usage Breakdown (pie)", "The twelve tools that ran most.", ask(ran, "{{tool_name}}"), COUNT),
        pie("Tool Decision Sources (24h)", "Who accepted or rejected: a rule, a hook, or the user.",
            ask(events.count("total", "source", event="tool_decision"), "{{source}}"), COUNT, values=["percent"], today=DAY),
    )
    edges = [0, 50, 100, 250, 500, 1000, 2500, 5000]
    buckets = list(zip(edges, edges[1:] + [None]))
    board.line(8, ranking("Prompt Length Distribution", "Prompts by their number of characters.",
                          [ask(events.between("prompt_length", low, high, "total", event="user_prompt"),
                               f"{low} to {high}" if high else f"{low} and more") for low, high in buckets], COUNT))
