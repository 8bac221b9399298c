"""Pure statistics: what models score, how sure that is, and how far data have drifted.

Data flow one way: `statistics.collect` reads scored rows once and keeps sums and histograms per unit of
independence (a day, a week, a customer group) and slice; `comparison`, `calibration` and `stability` turn
these into values; `significance` says what they prove. Only `statistics` and `drift` ever touch rows.
"""
