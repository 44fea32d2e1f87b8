"""Files of problems, as `metajax solve` reads them."""

HEAT = """
coefficients: {u_y: 1, u_xx: -0.2}
dirichlet: {left: 0, right: 0, bottom: "sin(pi * (x + 1) / 2)"}
"""


def written(tmp_path, text):
    path = tmp_path / "problem.yaml"
    path.write_text(text)
    return path
