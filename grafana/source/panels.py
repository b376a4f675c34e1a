"""One function a kind of panel: Grafana's options, decided once, so that all boards look alike."""

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}

USD, TOKENS, COUNT, PERCENT = "currencyUSD", "short", "short", "percent"
USD_IN_FULL = "prefix:$"
SECONDS, MILLISECONDS, BYTES = "s", "ms", "bytes"
# `38:52:12`; Grafana's own seconds turn into days of 24 hours.
HOURS = "dthms"
VICTORIALOGS = "victoriametrics-logs-datasource"
LINES_MAX, STORY_LINES_MAX = 500, 2000

# The height at which ten bars of a ranking fit.
TEN = 9
# A bar narrower than this would lie between two samples.
BAR_MIN = "5m"
# At most about so many bars, so that they can be told apart: a week is in hours, a day in ten minutes.
BARS_MAX = 120
# A rate over less would often see one sample only: series of sessions that wait have one a minute.
RATE_MIN = "5m"


class Query:
    """One target. `when` is `total` (one value, at the end) or `bars` (one a step)."""

    def __init__(self, expr, legend="", when="total", datasource=None, ref="", format=""):
        self.expr, self.legend, self.when, self.format = expr, legend, when, format
        self.datasource, self.ref = datasource or PROMETHEUS, ref

    def target(self, ref, table):
        target = {"refId": self.ref or ref, "datasource": self.datasource, "expr": self.expr}
        if self.legend:
            target["legendFormat"] = self.legend
        kind = self.datasource["type"]
        instant = self.when == "total"
        if kind == "prometheus":
            target |= {"instant": instant, "range": not instant, "editorMode": "code"}
            target["format"] = "table" if table and instant else "time_series"
        elif kind == "loki":
            target |= {"queryType": "instant" if instant else "range", "editorMode": "code"}
        else:
            kinds = {"total": "stats", "bars": "statsRange", "lines": "instant"}
            target["queryType"] = kinds[self.when]
        if self.when == "lines":
            target["maxLines"] = LINES_MAX
            if kind == "loki":
                target |= {"queryType": "range", "direction": "backward"}
        return target


def event(events, expr, legend="", when="total", ref=""):
    """A question to events, of a board in either language."""
    for name in ("session_id", "event_name", "skill_name", "agent_name"):
        legend = legend.replace("{{" + name + "}}", "{{" + events.field(name) + "}}")
    return Query(expr, legend, when, events.datasource, ref)


def panel(kind, title, description, queries, unit, options, defaults=None, custom=None, **more):
    queries = queries if isinstance(queries, list) else [queries]
    kinds = {query.datasource["type"] for query in queries}
    assert len(kinds) == 1, title
    targets = [
        query.target(chr(ord("A") + index), kind in AS_TABLES) for index, query in enumerate(queries)
    ]
    every = {"noValue": "–", "color": {"mode": "palette-classic"}} | amount(kind, unit) | (defaults or {})
    if custom is not None:
        every["custom"] = custom
    panel = {
        "type": kind, "title": title, "description": description, "datasource": queries[0].datasource,
        "fieldConfig": {"defaults": every, "overrides": more.pop("overrides", [])},
        "options": options, "targets": targets,
    }
    if kinds == {"loki"} and kind in ROWS_OR_COLUMNS:
        read_table(panel, queries)
    today = more.pop("today", None)
    if today:
        # The title says it already.
        panel |= {"timeFrom": today, "hideTimeOverride": True}
    return panel | more


# Panels whose queries Prometheus answers in tables.
AS_TABLES = ["piechart", "table"]
# Panels that show one thing a value.
ROWS_OR_COLUMNS = ["bargauge", "gauge", "piechart", "stat"]


def read_table(panel, queries):
    """What Loki counts at one time, Grafana makes one table a query of, without the legend.

    So of a query by labels each row is a value, named by its labels; of others the column is named.
    """
    if any("{{" in query.legend for query in queries):
        panel["options"]["reduceOptions"]["values"] = True
        return
    named = [(target["refId"], query.legend) for target, query in zip(panel["targets"], queries) if query.legend]
    panel["fieldConfig"]["overrides"] = [of_query(ref, "displayName", name) for ref, name in named] + panel["fieldConfig"]["overrides"]


def of_query(ref, key, value):
    return {"matcher": {"id": "byFrameRefID", "options": ref}, "properties": [{"id": key, "value": value}]}


def amount(kind, unit):
    """Money is told in full and in cents; only on an axis as Grafana shortens it: `$1.08K`."""
    return {"unit": unit} if unit != USD or kind == "timeseries" else {"unit": USD_IN_FULL, "decimals": 2}


def stat(title, description, query, unit, **more):
    options = {
        "colorMode": "none", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto", "wideLayout": True, "showPercentChange": False,
    }
    color = {"color": {"mode": "fixed", "fixedColor": "text"}} | more.pop("defaults", {})
    return panel("stat", title, description, query, unit, options, color, **more)


def gauge(title, description, query, low, high, **more):
    steps = [("red", None), ("yellow", low), ("green", high)]
    thresholds = {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}
    defaults = {"min": 0, "max": 100, "decimals": 1, "color": {"mode": "thresholds"}, "thresholds": thresholds}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showThresholdLabels": False, "showThresholdMarkers": True, "orientation": "auto",
    }
    return panel("gauge", title, description, query, PERCENT, options, defaults, **more)


def graph(title, description, queries, unit, stack=False, as_bars=False, interval=None, **more):
    queries = queries if isinstance(queries, list) else [queries]
    for query in queries:
        query.when = "bars"
    custom = {
        "drawStyle": "bars" if as_bars else "line", "lineWidth": 0 if as_bars else 1,
        "fillOpacity": 80 if as_bars else 10, "showPoints": "never", "barAlignment": 1 if as_bars else 0,
        "spanNulls": False, "axisSoftMin": 0, "gradientMode": "none", "lineInterpolation": "linear",
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if interval or as_bars:
        more["interval"] = interval or BAR_MIN
    if as_bars:
        more.setdefault("maxDataPoints", BARS_MAX)
    return panel("timeseries", title, description, queries, unit, options, None, custom, **more)


def bars(title, description, queries, unit, **more):
    """Stacked bars whose heights add up to the total."""
    return graph(title, description, queries, unit, stack=True, as_bars=True, **more)


def pie(title, description, query, unit, placement="right", values=("value", "percent"), **more):
    """`placement` and `values` are the legend's: long names need the panel's whole width, or fewer numbers.

    Rows in the order of their names, as a graph has its series: so a name has one colour in both.
    """
    options = {
        "pieType": "donut", "displayLabels": [], "tooltip": {"mode": "single", "sort": "none"},
        "legend": {"displayMode": "table", "placement": placement, "showLegend": True, "values": list(values)},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    if query.datasource["type"] != VICTORIALOGS:
        options["reduceOptions"]["values"] = True
        by = {"field": query.legend.strip("{}"), "desc": False}
        more["transformations"] = [{"id": "sortBy", "options": {"fields": {}, "sort": [by]}}]
    return panel("piechart", title, description, query, unit, options, **more)


def ranking(title, description, query, unit, **more):
    """Horizontal bars, the longest first as the query sorts them."""
    options = {
        "displayMode": "basic", "orientation": "horizontal", "valueMode": "color", "showUnfilled": True,
        "minVizHeight": 16, "minVizWidth": 8, "namePlacement": "left", "sizing": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    defaults = {"min": 0, "color": {"mode": "fixed", "fixedColor": "blue"}} | more.pop("defaults", {})
    return panel("bargauge", title, description, query, unit, options, defaults, **more)


def column(title, unit, width):
    properties = amount("table", unit) | ({"custom.width": width} if width else {})
    return {"matcher": {"id": "byName", "options": title},
            "properties": [{"id": key, "value": value} for key, value in properties.items()]}


def table(title, description, queries, columns, unit="none", **more):
    """`columns` is (name as queried, title, unit), in order. Several queries have the same labels.

    `width` is that of columns with numbers, where the others need the space.
    """
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": False}
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}}
    options["sortBy"] = [{"displayName": more.pop("sort"), "desc": True}] if "sort" in more else []
    queries = queries if isinstance(queries, list) else [queries]
    steps = more.pop("steps", None) or [SERIES_TO_ROWS if queries[0].datasource["type"] == VICTORIALOGS else ONE_TABLE]
    names = {name: title for name, title, _ in columns}
    hidden = ["Time", "Field", "Line", "labels", "__name__"]
    steps = steps + [{"id": "organize", "options": {
        "excludeByName": dict.fromkeys(hidden, True), "renameByName": names,
        "indexByName": {name: index for index, name in enumerate(names)},
    }}]
    width = more.pop("width", None)
    overrides = more.pop("overrides", []) + [column(title, unit, width) for _, title, unit in columns if unit]
    return panel("table", title, description, queries, unit, options, None, custom,
                 transformations=steps, overrides=overrides, **more)


# Prometheus and Loki answer in tables; those of several queries are laid over each other.
ONE_TABLE = {"id": "merge", "options": {}}
# VictoriaLogs answers in one series a row; its value stands under "Last *".
SERIES_TO_ROWS = {"id": "reduce", "options": {"reducers": ["lastNotNull"], "labelsToFields": True, "mode": "seriesToRows"}}


def logs(title, description, query, ascending=False):
    """Of more lines than are shown: the newest ones, or the first where they ascend."""
    query.when = "lines"
    options = {
        "showTime": True, "showLabels": False, "showCommonLabels": False, "wrapLogMessage": True,
        "prettifyLogMessage": False, "enableLogDetails": True, "dedupStrategy": "none",
        "sortOrder": "Ascending" if ascending else "Descending",
    }
    logs = panel("logs", title, description, query, "none", options)
    if ascending:
        for target in logs["targets"]:
            target["maxLines"] = STORY_LINES_MAX
            if "direction" in target:
                target["direction"] = "forward"
    return logs


def color(name, value):
    return {"matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": value}}]}


# One colour a token type, a decision and an outcome, on all boards.
COLORS = [
    color("input", "blue"), color("output", "purple"), color("cacheRead", "green"), color("cacheCreation", "orange"),
    color("accept", "green"), color("reject", "red"), color("added", "green"), color("removed", "red"),
    color("errors", "red"),
]
