"""The dashboards' source. `grafana/generate.py` writes grafana/dashboards/ from it.

queries.py   the recipes: PromQL for counters, LogQL and LogsQL for events
panels.py    one function a kind of panel
board.py     a board: variables, links, layout
boards/      one file a dashboard
"""
