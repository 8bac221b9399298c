"""Will this flight arrive 15 minutes late or more? Predicted an hour before departure.

On all flights that left New York City in 2013. The use case that a fork replaces: of Gatehouse it imports
`gatehouse.project` and nothing else.
"""

from flight_delays.project import PROJECT

__all__ = ["PROJECT"]
