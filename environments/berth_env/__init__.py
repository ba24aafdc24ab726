"""Builds conda environments for Berth: checks environment.yml, solves it, installs a lock, and looks for drift.

It is run by berth-keeper in a locked-down container of the user's identity, and by hand as `berth-env-builder`. It speaks JSON lines on
standard output (report.py). docs/environments.md describes the lock and who may do what.
"""

PREFIX_ROOT = "/opt/berth/envs"  # where an environment lies in every workspace: PREFIX_ROOT/<lock id>
