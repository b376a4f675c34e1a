"""Claude Code Chargeback: what each team and each of its projects used, for an invoice between departments."""

from ..board import Board
from ..panels import COUNT, HOURS, TOKENS as TOKEN_UNIT, USD
from ..panels import Query, bars, ranking, stat, table
from ..queries import ACTIVE, COMMITS, COST, LINES, PULL_REQUESTS, TOKENS, bars as steps, total
from .overview import LIST_PRICE

OWNED = "What no team or project is set for stands under no name."


def board():
    board = Board("claude-code-chargeback", "claude-code-chargeback", "Claude Code Chargeback",
                  "Team × project: cost, tokens and work, exact for any time range.", ["prometheus"], hours="now-30d")
    board.row("In this time range")
    nobody = total(COST, 'team=""')
    untagged = Query(f"100 * ({nobody} or vector(0)) / {total(COST)}")
    board.line(
        4,
        stat("Cost", LIST_PRICE, Query(total(COST)), USD),
        stat("Cost this month", f"Since the first, in your time zone. {LIST_PRICE}", Query(total(COST)), USD, today="now/M"),
        stat("Teams", "Teams that spent something.", Query(f"count({total(COST, by='team')} > 0)"), COUNT),
        stat("Projects", "Projects that spent something.", Query(f"count({total(COST, by='project')} > 0)"), COUNT),
        stat("Developers", "E-mail addresses that spent something; without one signed in, an install counts.",
             Query(f"count({total(COST, by='user_email, instance')} > 0)"), COUNT),
        stat("Without a team", "The share of cost for which no team is set.", untagged, "percent", defaults={"decimals": 1}),
    )
    board.row("Who pays")
    board.line(16, matrix())
    board.line(
        10,
        bars("Cost by team", f"Bars add up to the total. {LIST_PRICE}", Query(steps(COST, by="team"), "{{team}}"), USD, interval="1h"),
        ranking("Cost by project", f"The twenty dearest. {LIST_PRICE}", Query(f"sort_desc(topk(20, {total(COST, by='team, project')}))", "{{team}} / {{project}}"), USD),
        ranking("Cost by developer", f"The twenty dearest, where an account is signed in. {LIST_PRICE}",
                Query(f"sort_desc(topk(20, {total(COST, by='user_email')}))", "{{user_email}}"), USD),
    )
    board.row("For what it is worth")
    board.line(
        10,
        ranking("Cost per commit by project", f"Commits that Claude Code's shell made; what people committed by hand is not in it. {LIST_PRICE}",
                Query(f"sort_desc(topk(20, {total(COST, by='project')} / ({total(COMMITS, by='project')} > 0)))", "{{project}}"), USD),
        ranking("Cost per 100 lines by project", f"Lines added or removed by accepted edits. Few lines may be the better work. {LIST_PRICE}",
                Query(f"sort_desc(topk(20, 100 * {total(COST, by='project')} / ({total(LINES, by='project')} > 0)))", "{{project}}"), USD),
        ranking("Cost per active hour by project", f"The user at the keyboard, and Claude Code at work. {LIST_PRICE}",
                Query(f"sort_desc(topk(20, 3600 * {total(COST, by='project')} / ({total(ACTIVE, by='project')} > 0)))", "{{project}}"), USD),
    )
    return board


def matrix():
    by = "team, project"
    columns = [
        ("cost", "Cost", COST, USD), ("tokens", "Tokens", TOKENS, TOKEN_UNIT), ("active", "Active time", ACTIVE, HOURS),
        ("lines", "Lines", LINES, COUNT), ("commits", "Commits", COMMITS, COUNT), ("pulls", "Pull requests", PULL_REQUESTS, COUNT),
    ]
    queries = [Query(total(metric, by=by), ref=ref) for ref, _, metric, _ in columns]
    shown = [(f"Value #{ref}", title, unit) for ref, title, _, unit in columns]
    panel = table("Team × project", f"{OWNED} {LIST_PRICE}", queries, [("team", "Team", None), ("project", "Project", None), *shown], sort="Cost")
    panel["options"]["footer"] = {"show": True, "reducer": ["sum"], "countRows": False, "fields": [name for name, _, _ in shown]}
    return panel
