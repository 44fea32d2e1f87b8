"""Programs with many mapped solves end, on two threads, and nothing else may call LAPACK."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "many_solves.py"
TICK = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01

FACTORS = "linalg", "orthogonal", "delta_orthogonal", "multivariate_normal", "polyfit", "roots"
"""Names under which JAX, its initialisers and its random numbers call LAPACK."""
ALLOWED = "jnp.linalg.norm"
"""The norm of vectors; that of a matrix by its singular values is not used."""
ON_THE_HOST = "np", "skfem", "scipy"
"""numpy and scipy call their own LAPACK, in the thread that calls it."""


def cpu_seconds(pid):
    """Of all threads of a process, from Linux's account."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return TICK * (int(fields[11]) + int(fields[12]))


def ends(process, still=20.0):
    """Whether a process ends; False where its CPU time stands still for so many seconds.

    However slow the machine is, a process that computes is given some CPU time.
    """
    used, since = -1.0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        now = cpu_seconds(process.pid) if process.poll() is None else used
        if now > used + 2 * TICK:
            used, since = now, time.monotonic()
        elif time.monotonic() - since > still:
            return False
    return True


def start(*options):
    flags = "--xla_force_host_platform_device_count=1"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux's account of CPU time")
def test_many_mapped_solves_and_gradients_end_on_two_cores():
    process = start("solves", "5")
    try:
        assert ends(process), "it hangs"
        out, err = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert len(out.splitlines()) == 6


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux's account of CPU time")
def test_a_hang_is_told_from_slowness():
    process = start("wait", "0")
    try:
        assert process.stdout.readline() == "begun\n"
        assert not ends(process, still=2.0)
    finally:
        process.kill()
        process.communicate()


def dotted(node):
    """``a.b.c`` of an attribute, None of what is no chain of names."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *names[::-1]]) if isinstance(node, ast.Name) else None


def lapack_names(source):
    """Where a module's code names what calls LAPACK in a compiled program."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            parts = (name or "").split(".")
            # solvers by iterations take products alone
            calls = set(parts[1:]) & set(FACTORS) and "sparse" not in parts
            if calls and parts[0] not in ON_THE_HOST and parts[-1] != "linalg" and name != ALLOWED:
                found.append((node.lineno, name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [
                *(getattr(node, "module", None) or "").split("."),
                *(a.name for a in node.names),
            ]
            on_the_host = names[0].split(".")[0] in ON_THE_HOST
            if not on_the_host and set(FACTORS) & {
                part for name in names for part in name.split(".")
            }:
                found.append((node.lineno, ast.unparse(node)))
    return found


def test_lapack_is_called_in_compiled_programs_by_the_solves_alone():
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in sorted((ROOT / "metajax").rglob("*.py"))
        if path.name != "solves.py" and (found := lapack_names(path.read_text(encoding="utf-8")))
    }
    assert not wrong
    assert lapack_names((ROOT / "metajax" / "nn" / "solves.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("x = jnp.linalg.qr(a)", True),
        ("x = jax.scipy.linalg.solve(a, b)", True),
        ("import jax.scipy.linalg", True),
        ("from jax.scipy.linalg import cholesky", True),
        ("from jax.numpy import linalg", True),
        ("start = nn.initializers.orthogonal()", True),
        ("x = jax.random.multivariate_normal(key, m, c)", True),
        ("x = jnp.linalg.norm(a, axis=0)", False),
        ("x = np.linalg.inv(a)", False),
        ("from scipy import linalg", False),
    ],
)
def test_the_check_sees_what_calls_lapack(source, named):
    assert bool(lapack_names(source)) == named
