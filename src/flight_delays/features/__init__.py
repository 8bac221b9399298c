"""The transforms behind the feature tables. Pure: DataFrames in, a DataFrame out; nothing here reads or writes.

Each row is computed from what was known at its own `known_at`, even where its inputs know more, and from a bounded
stretch before it. A row is therefore the same whether a year is computed at once or hour by hour.
"""

from datetime import timedelta

OUTCOME_LIMIT = timedelta(days=3)
"""An outcome that takes longer than this after scheduled departure counts nowhere: it bounds how far back a row looks.

None took longer than 35 hours in 2013.
"""
