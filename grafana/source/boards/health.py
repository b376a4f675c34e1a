"""ccotel Health: whether what the other boards show is all there is. One row an install."""

from ..board import Board
from ..queries import bar, chosen
from ..panels import BYTES, COUNT, RATE_MIN, SECONDS, Query, bars, graph, stat, table

INSTALL = chosen("instance", "install")
TO = f'{INSTALL}, {chosen("destination", "destination")}'
LOST = ["quarantined", "expired", "evicted"]


def board():
    board = Board("ccotel-health", "ccotel-health", "ccotel Health",
                  "Backlog, lateness, gaps and drops of every install.", ["prometheus"], ("install", "destination"), "now-24h")
    board.row("Now")
    backlog = f"ccotel_destination_backlog_records{{{TO}}}"
    oldest = f"ccotel_destination_backlog_oldest_seconds{{{TO}}}"
    board.line(
        4,
        stat("Installs reporting", "Installs whose health arrived within the time range.",
             Query(f"count(count by (instance) (last_over_time(ccotel_build_info{{{INSTALL}}}[$__range])))"), COUNT),
        stat("Sessions at work", "On all installs, now.", Query(f"sum(ccotel_sessions_active{{{INSTALL}}}) or vector(0)"), COUNT),
        stat("Backlog", "Records on disk that a backend has not taken yet.", Query(f"sum({backlog})"), COUNT),
        stat("Oldest waiting", "The age of the oldest record that waits.", Query(f"max({oldest})"), SECONDS),
        stat("Lost in this range", "Expired, evicted or refused for good, of all installs.",
             Query(f"sum({lost()}) or vector(0)"), COUNT, defaults={"decimals": 0}),
        stat("Turned away", "Records that were rejected, and records of other programs.",
             Query(f'sum(increase(ccotel_receive_records_total{{{INSTALL}, outcome=~"rejected|foreign"}}[$__range])) or vector(0)'), COUNT, defaults={"decimals": 0}),
    )
    board.row("Delivery")
    board.line(
        8,
        graph("Backlog by destination", "Records that wait; what rises and does not fall is a backend that is down.",
              Query(f"sum by (destination) ({backlog})", "{{destination}}"), COUNT, interval="1m"),
        graph("Lateness by destination", "The age of the oldest record that waits: how far the boards are behind.",
              Query(f"max by (destination) ({oldest})", "{{destination}}"), SECONDS, interval="1m"),
        graph("Delivered", "Records a second that backends took.",
              Query(f"sum by (destination) (rate(ccotel_destination_delivered_records_total{{{TO}}}[$__rate_interval]))", "{{destination}}"), COUNT, interval=RATE_MIN),
    )
    board.line(
        8,
        bars("Drops", "Expired: too old for the backend. Evicted: no room on disk. Quarantined: refused for good.",
             [Query(f"sum({dropped(what)})", what) for what in LOST], COUNT),
        bars("Coarser in time", "Records whose totals went out at a coarser time: nothing is lost.",
             Query(f"sum by (destination) ({dropped('compacted')})", "{{destination}}"), COUNT),
        graph("Failed requests", "OTLP requests that an agent answered with an error, a second.",
              Query(f"sum by (outcome) (rate(ccotel_receive_failed_requests_total{{{INSTALL}}}[$__rate_interval]))", "{{outcome}}"), COUNT, interval=RATE_MIN),
    )
    board.row("Gaps")
    board.line(
        8,
        graph("Installs whose health arrived", "A dip is a gap: machines that were off, or could not reach Prometheus then.",
              Query(f"count(count by (instance) (count_over_time(ccotel_build_info{{{INSTALL}}}[$__interval])))", "installs"), COUNT, interval="5m"),
        graph("Disk", "The store of the twenty largest installs.", Query(f"topk(20, max by (instance) (ccotel_store_bytes{{{INSTALL}}}))", "{{instance}}"), BYTES, interval="5m"),
        graph("Series", "Series with a counter, of the twenty largest installs; beyond 5,000 new ones fold into `other`.",
              Query(f"topk(20, max by (instance) (ccotel_store_series{{{INSTALL}}}))", "{{instance}}"), COUNT, interval="5m"),
    )
    board.row("Every install")
    board.line(14, installs())
    return board


def dropped(what):
    """In one step. Most drops are a single jump, and `increase` over a step does not see what lies between two."""
    return f"clamp_min({bar(f'ccotel_destination_{what}_records_total{{{TO}}}')}, 0)"


def lost():
    """Over all reasons, per install and destination."""
    return " + ".join(f"increase(ccotel_destination_{what}_records_total{{{TO}}}[$__range])" for what in LOST)


def installs():
    by, top = "instance, destination", 200

    def newest(what):
        """Of an install that stopped, too: it is what is looked for."""
        return f"max by ({by}) (last_over_time(ccotel_destination_{what}{{{TO}}}[$__range]))"

    columns = [
        ("waiting", "Waiting", f"topk({top}, {newest('backlog_records')})", COUNT),
        ("oldest", "Oldest", f"topk({top}, {newest('backlog_oldest_seconds')})", SECONDS),
        ("success", "Last success", f"topk({top}, time() - {newest('last_success_seconds')})", SECONDS),
        *((what, what.capitalize(), f"topk({top}, {newest(what + '_records_total')})", COUNT)
          for what in ["delivered", *LOST, "compacted"]),
    ]
    queries = [Query(query, ref=ref) for ref, _, query, _ in columns]
    shown = [(f"Value #{ref}", title, unit) for ref, title, _, unit in columns]
    panel = table("Installs and destinations", f"The {top} first, as each last told; `Last success` is how long ago. One that stopped within the time range is listed.", queries,
                  [("instance", "Install", None), ("destination", "Destination", None), *shown], sort="Oldest")
    return panel
