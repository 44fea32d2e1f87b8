"""The table of this folder's README."""

from __future__ import annotations

from quoting import Quoted, markdown, results


def quoted() -> Quoted:
    """Every table and sentence."""
    found = results("faults", "faults.json")
    orbax = found["versions"]["orbax-checkpoint"]
    rows = [
        [one["fault"], one["must_hold"], f"{one['held']} of {one['tried']}"]
        for one in found["faults"]
    ]
    return Quoted(
        {"faults": markdown(["fault", "what must hold", "held"], rows)},
        [f"orbax-checkpoint {orbax}, {found['minutes']:.0f} minutes"],
    )
