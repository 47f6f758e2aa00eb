"""Limits on the rows of tables and charts. Further rows are not sent."""

max_items = {"table_rows": 1_000, "chart_rows": 5_000}
