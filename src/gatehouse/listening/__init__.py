"""Hears from MLflow's server of new model versions, and has them judged: a laptop's deployment job."""
