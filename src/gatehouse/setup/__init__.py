"""What an environment needs around it, planned and then made: principals, catalogs, grants, the CI's settings."""
