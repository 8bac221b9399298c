"""Makes a project of one's own out of this repository.

Standard library only: Copier runs it where nothing is installed.
"""
