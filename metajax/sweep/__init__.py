"""Sweeps: many runs of a system over a grid, random draws and seeds."""

from metajax.sweep.comparison import compared, over_runs
from metajax.sweep.comparison_page import is_comparison, report_comparison, write_comparison
from metajax.sweep.grid import Point, expand, parse_value, read_assignments
from metajax.sweep.processes import run_processes
from metajax.sweep.report import is_sweep, write_report
from metajax.sweep.results import Outcome, flatten, is_done, read_results, run_folder, write_results
from metajax.sweep.together import check_traceable, make_population, run_together

__all__ = [
    "Outcome",
    "Point",
    "check_traceable",
    "compared",
    "expand",
    "flatten",
    "is_comparison",
    "is_done",
    "is_sweep",
    "make_population",
    "over_runs",
    "parse_value",
    "read_assignments",
    "read_results",
    "report_comparison",
    "run_folder",
    "run_processes",
    "run_together",
    "write_comparison",
    "write_report",
    "write_results",
]
