"""The recipes. One place, so that every panel counts the same way.

Counters. ccotel's series never reset, begin with a 0, are kept alive for 12 idle hours, and send the
old value before the new one after a gap. So this is exact for totals, for "today" and for bars:

    sum(last_over_time(X[w]) - (last_over_time(X[13h] offset w) or min_over_time(X[w])))

`increase()` is not: it never sees a series' first value, and extrapolates at the edges.

Bars are the same recipe with a window of one step, looked at from the step's start (`offset -w`):
a bar stands at the time at which it begins, so that Monday's bar is Monday's, and the newest bar is
the one that is still growing.

Events. One request, prompt, tool call or session each: counted from events, never from counters.
Loki has attributes as structured metadata (`event_name`), VictoriaLogs as fields (`event.name`).
A filter on a label that is absent takes it for empty, so `.*`, which All stands for, matches.

Variables. What is chosen may have quotes, backslashes, dots or a plus in it. Each datasource of Grafana
escapes `$team` in a way of its own, Prometheus' and Loki's without quotes; so it is always Grafana's own
`:regex`, in a raw string, which takes everything but a backtick.
"""


def chosen(label, variable):
    """A matcher of PromQL and LogQL, and of a stream in LogsQL."""
    return f"{label}=~`${{{variable}:regex}}`"


COST = "claude_code_cost_usage_USD_total"
TOKENS = "claude_code_token_usage_tokens_total"
SESSIONS = "claude_code_session_count_total"
LINES = "claude_code_lines_of_code_count_total"
COMMITS = "claude_code_commit_count_total"
PULL_REQUESTS = "claude_code_pull_request_count_total"
DECISIONS = "claude_code_code_edit_tool_decision_total"
ACTIVE = "claude_code_active_time_seconds_total"

# What a series is filtered by. Only cost and tokens have a model.
OWNER = [chosen("team", "team"), chosen("project", "project"), chosen("sender", "sender")]
USER, MODEL = chosen("user_email", "user"), chosen("model", "model")
OF_EVERYTHING = [*OWNER, USER]
WITH_MODEL = {COST, TOKENS}

# What tokens of each type cost relative to plain input, for all of Anthropic's models.
WEIGHTS = {"input": 1, "output": 5, "cacheCreation": 1.25, "cacheRead": 0.1}


def series(metric, *matchers):
    model = [MODEL] if metric in WITH_MODEL else []
    return f"{metric}{{{', '.join([*OF_EVERYTHING, *model, *matchers])}}}"


def grown(selector, window, offset=""):
    """The recipe, before it is summed. `offset` is a window further back, such as `7d`."""
    at = f" offset {offset}" if offset else ""
    before = f" offset {added(window, offset)}"
    return (
        f"last_over_time({selector}[{window}]{at})"
        f" - (last_over_time({selector}[13h]{before}) or min_over_time({selector}[{window}]{at}))"
    )


def added(window, offset):
    """Two durations as one: `7d` and `7d` → `14d`; of one unit, where there is an offset."""
    if not offset:
        return window
    assert window[-1] == offset[-1], (window, offset)
    return f"{int(window[:-1]) + int(offset[:-1])}{window[-1]}"


def total(metric, *matchers, by="", window="$__range", offset=""):
    return f"{summed(by)} ({grown(series(metric, *matchers), window, offset)})"


def bars(metric, *matchers, by="", window="$__interval"):
    """For a range query; stamped with the bar's start."""
    return f"{summed(by)} ({bar(series(metric, *matchers), window)})"


def bar(selector, window="$__interval"):
    """The recipe, before it is summed."""
    return (
        f"last_over_time({selector}[{window}] offset -{window})"
        f" - (last_over_time({selector}[13h]) or min_over_time({selector}[{window}] offset -{window}))"
    )


def rate(metric, *matchers, by="", window="$__rate_interval"):
    """Per second."""
    return f"{summed(by)} (rate({series(metric, *matchers)}[{window}]))"


def summed(by):
    return f"sum by ({by})" if by else "sum"


def cost_of(kind, window="$__range"):
    """What one type of tokens cost: each model's cost, split by tokens times their weight."""
    tokens = {
        name: f"{weight} * " + total(TOKENS, f'type="{name}"', by="model", window=window)
        for name, weight in WEIGHTS.items()
    }
    part, whole = tokens[kind], " + ".join(tokens.values())
    return f"sum({total(COST, by='model', window=window)} * ({part}) / ({whole} > 0))"


def has_model(event):
    """Requests, failed or not, have one; prompts and tools have none."""
    return all(name.startswith("api_") for name in ([event] if isinstance(event, str) else event))


class Events:
    """Questions to events; what differs between the two languages is below."""

    def sessions(self, when):
        """Distinct sessions that have a prompt or a request."""
        return self.distinct("session_id", when, event=["user_prompt", "api_request"])


class LogQL(Events):
    datasource = {"type": "loki", "uid": "${loki}"}
    folder = ""
    suffix = ""

    def where(self, event, **more):
        names = f'event_name="{event}"' if isinstance(event, str) else f'event_name=~"{"|".join(event)}"'
        filters = [names, USER] + ([MODEL] if has_model(event) else [])
        has = more.pop("has", None)
        filters += [f'{has}!=""'] if has else []
        filters += [f'{name}="{value}"' for name, value in more.items()]
        return " | ".join([self.streams(), *filters])

    def streams(self):
        return f'{{service_name=~"claude-code.*", {", ".join(OWNER)}}}'

    def everything(self):
        return f"{self.streams()} | {USER}"

    def window(self, when):
        return "[$__range]" if when == "total" else "[$__auto] offset -$__auto"

    def count(self, when, by="", top=0, **where):
        return self.limited(f"{summed(by)} (count_over_time({self.where(**where)} {self.window(when)}))", top)

    def total(self, field, when, by="", top=0, **where):
        inner = f"sum_over_time({self.where(**where)} | unwrap {field} {self.window(when)})"
        return self.limited(f"{summed(by)} ({inner})", top)

    def average(self, field, when, by="", **where):
        return self.sorted(f"{self.total(field, when, by, **where)} / {self.count(when, by, **where)}", when, by)

    def quantile(self, quantile, field, when, by="", **where):
        inner = f"quantile_over_time({quantile}, {self.where(**where)} | unwrap {field} {self.window(when)})"
        return f"{inner} by ({by})"

    def distinct(self, field, when, by="", **where):
        keys = f"{by}, {field}" if by else field
        over = f"count by ({by})" if by else "count"
        return f"{over} ({self.count(when, keys, **where)})"

    def ratio(self, when, part, whole, by=""):
        share = f"100 * ({self.count(when, by, **part)} or 0 * {self.count(when, by, **whole)}) / {self.count(when, by, **whole)}"
        return self.sorted(share, when, by)

    def sorted(self, query, when, by):
        return f"sort_desc({query})" if when == "total" and by else query

    def cost_per_session(self, when):
        return f'{self.total("cost_usd", when, event="api_request")} / {self.sessions(when)}'

    def tokens_per_session(self, when):
        tokens = " + ".join(self.total(field, when, event="api_request") for field in TOKEN_FIELDS)
        return f"({tokens}) / {self.sessions(when)}"

    def session_seconds(self, when):
        return f'avg({self.edge("max", when)} - {self.edge("min", when)}) / 1000'

    def edge(self, which, when, **where):
        """Each session's first or last moment, in ms."""
        events = self.where(**(where or {"event": ["user_prompt", "api_request"]}))
        stamped = f"{events} | label_format at=`{{{{ __timestamp__ | unixEpochMillis }}}}` | unwrap at"
        return f"{which}_over_time({stamped} {self.window(when)}) by (session_id)"

    def session_list(self, measures, top):
        """One query a column. Only the dearest sessions are listed, so each is asked of them alone."""
        keys = "session_id, project"
        dearest = self.total("cost_usd", "total", keys, top=top, event="api_request")
        queries = []
        for name, event in measures.items():
            if name == "Started":
                query = f"{self.edge('min', 'total')[:-len('(session_id)')]}({keys})"
            else:
                query = dearest if name == "Cost" else self.count("total", keys, event=event)
            queries.append(query if name == "Cost" else f"({query}) and on ({keys}) ({dearest})")
        return queries, None

    def between(self, field, low, high, when, **where):
        bounds = f"{field} >= {low}" + (f" | {field} < {high}" if high else "")
        return f"sum(count_over_time({self.where(**where)} | {bounds} {self.window(when)})) or vector(0)"

    def limited(self, query, top):
        return f"sort_desc(topk({top}, {query}))" if top else query

    def value(self, ref="A"):
        """The column in which Grafana's table has what a query counts."""
        return f"Value #{ref}"

    def lines(self, events, template):
        """Log lines; `template` is (event, Go text) of each event."""
        stream = self.where(event=events) if events else self.everything()
        cases = "{{else if ".join(
            f'eq .event_name "{event}"}}}}{text.replace(USD, USD_ROUNDED)}' for event, text in template
        )
        return f"{stream} | line_format `{{{{if {cases}{{{{else}}}}{{{{.event_name}}}}{{{{end}}}}`"

    def field(self, name):
        return name

    def of_session(self, query):
        """The same question of the chosen session alone."""
        return query.replace(f" | {USER}", ' | session_id="$session"').replace(f" | {MODEL}", "")


# Of log lines: as it came, a cost has up to eighteen digits.
USD, USD_ROUNDED = "{{.cost_usd}}", '{{printf "%.4f" (float64 .cost_usd)}}'

TOKEN_FIELDS = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"]

# Attributes whose names have a dot where Loki has an underscore.
DOTTED = {
    "session_id": "session.id", "event_name": "event.name", "user_email": "user.email",
    "prompt_id": "prompt.id", "skill_name": "skill.name", "agent_name": "agent.name",
    "mcp_server_name": "mcp_server.name",
}


def chosen_field(field, variable):
    """Of a field in LogsQL, which looks for a part of it unless it is told where it begins and ends."""
    return f"{field}:~`^(${{{variable}:regex}})$`"


FIELD_USER, FIELD_MODEL = chosen_field("user.email", "user"), chosen_field("model", "model")


class LogsQL(Events):
    datasource = {"type": "victoriametrics-logs-datasource", "uid": "${victorialogs}"}
    folder = "-victorialogs"
    suffix = "-victorialogs"

    def where(self, event, **more):
        names = f'event.name:="{event}"' if isinstance(event, str) else f'event.name:in({", ".join(event)})'
        filters = [self.stream(), names] + ([FIELD_MODEL] if has_model(event) else [])
        has = more.pop("has", None)
        filters += [f"{self.field(has)}:*"] if has else []
        filters += [f'{self.field(name)}:="{value}"' for name, value in more.items()]
        return " ".join(filters)

    def stream(self):
        return f'{{service.name=~"claude-code.*", {", ".join(OWNER)}}} {FIELD_USER}'

    def field(self, name):
        return DOTTED.get(name, name)

    def value(self, ref="A"):
        """A series' last value; of several measures each has a field."""
        return "Last *" if ref == "A" else ref

    def stats(self, where, by, functions, pipes=""):
        keys = f"by ({', '.join(self.field(key) for key in by.split(', '))}) " if by else ""
        return f"{where} | stats {keys}{functions}{pipes}"

    def limited(self, top):
        return f" | sort by (value desc) limit {top}" if top else ""

    def count(self, when, by="", top=0, **where):
        return self.stats(self.where(**where), by, "count() as value", self.limited(top))

    def total(self, field, when, by="", top=0, **where):
        return self.stats(self.where(**where), by, f"sum({field}) as value", self.limited(top))

    def average(self, field, when, by="", **where):
        return self.stats(self.where(**where), by, f"avg({field}) as value", self.sorted(when, by))

    def sorted(self, when, by):
        return " | sort by (value desc)" if when == "total" and by else ""

    def quantile(self, quantile, field, when, by="", **where):
        return self.stats(self.where(**where), by, f"quantile({quantile}, {field}) as value")

    def distinct(self, field, when, by="", **where):
        return self.stats(self.where(**where), by, f"count_uniq({self.field(field)}) as value")

    def ratio(self, when, part, whole, by=""):
        extra = {key: value for key, value in part.items() if key not in whole or whole[key] != value}
        names = {"event": "event.name"}
        test = " ".join(f'{names.get(key, self.field(key))}:="{value}"' for key, value in extra.items())
        events = whole if "event" not in extra else {**whole, "event": [whole["event"], part["event"]]}
        whole_test = f' if (event.name:="{whole["event"]}")' if "event" in extra else ""
        functions = f"count() if ({test}) as part, count(){whole_test} as whole"
        keep = ", ".join([*(self.field(key) for key in by.split(", ") if key), "value"])
        return self.stats(self.where(**events), by, functions, f" | math 100 * part / whole as value | fields {keep}{self.sorted(when, by)}")

    def per_session(self, functions, value):
        where = self.where(event=["user_prompt", "api_request"])
        every = f"{functions}, count_uniq(session.id) as sessions"
        return self.stats(where, "", every, f" | math ({value}) / sessions as value | fields value")

    def cost_per_session(self, when):
        return self.per_session(f"sum(cost_usd) if ({FIELD_MODEL}) as cost", "cost")

    def tokens_per_session(self, when):
        sums = ", ".join(f"sum({field}) if ({FIELD_MODEL}) as {field}" for field in TOKEN_FIELDS)
        return self.per_session(sums, " + ".join(TOKEN_FIELDS))

    def session_seconds(self, when):
        where = self.where(event=["user_prompt", "api_request"])
        each = self.stats(where, "session_id", "min(_time) as first, max(_time) as last")
        return f"{each} | math (last - first) / 1000000000 as seconds | stats avg(seconds) as value"

    def counted(self, event):
        return f'event.name:="{event}"' + (f" {FIELD_MODEL}" if has_model(event) else "")

    def session_list(self, measures, top):
        """One query for all columns: its rows come as fields of log lines."""
        counts = ", ".join(f"count() if ({self.counted(event)}) as {name}" for name, event in measures.items() if event)
        where = self.where(event=[event for event in measures.values() if event])
        each = self.stats(where, "session_id, project", f"min(_time) as Started, sum(cost_usd) if ({FIELD_MODEL}) as Cost, {counts}")
        kept = ", ".join(["session.id", "project", *measures])
        return [f"{each} | sort by (Cost desc) limit {top} | fields {kept}"], [
            {"id": "extractFields", "options": {"source": "labels", "format": "json", "replace": False, "keepTime": False}},
            {"id": "convertFieldType", "options": {"conversions": [
                {"targetField": name, "destinationType": "time" if name == "Started" else "number"} for name in measures]}},
        ]

    def between(self, field, low, high, when, **where):
        bounds = f"{field}:>={low}" + (f" {field}:<{high}" if high else "")
        return f"{self.where(**where)} {bounds} | stats count() as value"

    def lines(self, events, template):
        stream = self.where(event=events) if events else self.stream()
        texts = [f'format if (event.name:="{event}") "{logsql_text(text)}" as _msg' for event, text in template]
        return " | ".join([stream, *texts])

    def of_session(self, query):
        return query.replace(f" {FIELD_USER}", ' session.id:="$session"').replace(f" {FIELD_MODEL}", "")


def logsql_text(text):
    """`{{.model}} took {{.duration_ms}} ms` → `<model> took <duration_ms> ms`."""
    for name in sorted(DOTTED, key=len, reverse=True):
        text = text.replace("{{." + name + "}}", f"<{DOTTED[name]}>")
    return text.replace("{{.", "<").replace("}}", ">")
