"""A board: its variables, its links, and a layout that cannot overlap.

Datasources are variables, so a board works where Grafana provisions it from a file; at an import by
hand `__inputs` asks for them, and puts the answer where the variable begins.
"""

from .queries import COST as SERIES, OWNER, chosen

WIDTH = 24
TAG = "claude-code"

INPUTS = {
    "prometheus": ("DS_PROMETHEUS", "prometheus", "Prometheus"),
    "loki": ("DS_LOKI", "loki", "Loki"),
    "victorialogs": ("DS_VICTORIALOGS", "victoriametrics-logs-datasource", "VictoriaLogs"),
}


class Board:
    def __init__(self, file, uid, title, description, datasources, variables=("team", "project", "sender", "user", "model"),
                 hours="now-7d"):
        self.file, self.uid, self.title, self.description = file, uid, title, description
        self.datasources, self.variables, self.since = datasources, variables, hours
        self.panels, self.top, self.left, self.height = [], 0, 0, 0

    def row(self, title):
        self.end_line()
        self.panels.append({
            "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": self.top, "w": WIDTH, "h": 1},
        })
        self.top += 1

    def add(self, width, height, panel):
        if self.left + width > WIDTH:
            self.end_line()
        panel["gridPos"] = {"x": self.left, "y": self.top, "w": width, "h": height}
        self.left += width
        self.height = max(self.height, height)
        self.panels.append(panel)

    def line(self, height, *panels):
        """Panels beside each other, of one width."""
        for panel in panels:
            self.add(WIDTH // len(panels), height, panel)
        self.end_line()

    def end_line(self):
        self.top, self.left, self.height = self.top + self.height, 0, 0

    def document(self):
        self.end_line()
        kinds = sorted({panel["type"] for panel in self.panels if panel["type"] != "row"})
        panels = [{"id": number, **panel} for number, panel in enumerate(self.panels, 1)]
        return {
            "__inputs": [
                {"name": name, "label": label, "description": "", "type": "datasource",
                 "pluginId": plugin, "pluginName": label}
                for name, plugin, label in (INPUTS[key] for key in self.datasources)
            ],
            "__elements": {},
            "__requires": [
                {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.0.0"},
                *({"type": "datasource", "id": INPUTS[key][1], "name": INPUTS[key][2], "version": "1.0.0"}
                  for key in self.datasources),
                *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
            ],
            "uid": self.uid, "title": self.title, "description": self.description, "tags": [TAG],
            "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "liveNow": False,
            "refresh": "1m", "timezone": "browser", "weekStart": "", "fiscalYearStartMonth": 0,
            "time": {"from": self.since, "to": "now"}, "timepicker": {},
            "annotations": {"list": []},
            "links": [{
                "type": "dashboards", "title": "Claude Code", "tags": [TAG], "asDropdown": True,
                "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "external link",
                "tooltip": "", "url": "",
            }],
            "templating": {"list": [datasource(key) for key in self.datasources]
                           + [variable(name) for name in self.variables]},
            "panels": panels,
        }


def datasource(key):
    name, plugin, label = INPUTS[key]
    chosen = "${" + name + "}"
    return {
        "type": "datasource", "name": key, "label": label, "query": plugin, "hide": 0, "includeAll": False,
        "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False,
        "current": {"text": chosen, "value": chosen, "selected": False},
    }


VARIABLES = {
    "team": ("Team", f'label_values({SERIES}, team)'),
    "project": ("Project", f"label_values({SERIES}{{{OWNER[0]}}}, project)"),
    "sender": ("Sender", f"label_values({SERIES}{{{', '.join(OWNER[:2])}}}, sender)"),
    "user": ("User", f"label_values({SERIES}{{{', '.join(OWNER)}}}, user_email)"),
    "model": ("Model", f"label_values({SERIES}{{{', '.join(OWNER)}}}, model)"),
    "install": ("Install", "label_values(ccotel_build_info, instance)"),
    "destination": ("Destination", f"label_values(ccotel_destination_backlog_records{{{chosen('instance', 'install')}}}, destination)"),
}


def variable(name):
    if name == "session":
        return {"type": "textbox", "name": name, "label": "Session", "query": "", "hide": 0, "skipUrlSync": False,
                "current": {"text": "", "value": ""}, "options": []}
    label, query = VARIABLES[name]
    return {
        "type": "query", "name": name, "label": label, "hide": 0, "multi": True, "includeAll": True,
        "allValue": ".*", "refresh": 2, "sort": 1, "regex": "", "skipUrlSync": False, "options": [],
        "datasource": {"type": "prometheus", "uid": "${prometheus}"},
        "query": {"query": query, "refId": "variable", "qryType": 1},
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
    }
