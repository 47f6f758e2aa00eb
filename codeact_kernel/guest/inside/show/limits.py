"""What the host takes of a table or a chart: more is not sent."""

max_items = {"table_rows": 1_000, "chart_rows": 5_000}
