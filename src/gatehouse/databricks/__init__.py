"""A Databricks workspace: its client, runs of the bundle's jobs, and the serving endpoint."""
