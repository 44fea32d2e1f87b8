"""The energies of all mechanics, how its instances are drawn, and what is rejected."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.physics import (
    MECHANICS,
    DoublePendulum,
    Gravitation,
    HenonHeiles,
    Mirror,
    Pendulum,
    Phase,
    Spring,
    SpringGraph,
    check_state,
    coupled_springs,
    get_mechanics,
    n_body,
)
from metajax.physics.hamiltonians import drive

pytestmark = pytest.mark.usefixtures("x64")

Q, P = np.array([[0.3, -0.8]]), np.array([[0.6, 0.5]])
SQUARE = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [0.0, 4.0]])


def arms_energy():
    """The double pendulum's from its angular velocities, in place of its momenta."""
    (m1, m2), (l1, l2), g = (1.2, 0.8), (0.9, 1.1), 1.05
    (a, b), difference = Q[0], Q[0, 0] - Q[0, 1]
    mass = np.array(
        [
            [(m1 + m2) * l1**2, m2 * l1 * l2 * np.cos(difference)],
            [m2 * l1 * l2 * np.cos(difference), m2 * l2**2],
        ]
    )
    velocity = np.linalg.solve(mass, P[0])
    height = m1 * l1 * (1 - np.cos(a)) + m2 * (l1 * (1 - np.cos(a)) + l2 * (1 - np.cos(b)))
    return velocity @ mass @ velocity / 2 + g * height


@pytest.mark.parametrize(
    ("name", "parameters", "q", "p", "expected"),
    [
        ("mass_spring", Spring(2.0, 3.0, 0.0, 0.0, 0.0), Q, P, 0.36 / 4 + 3 * 0.09 / 2),
        (
            "pendulum",
            Pendulum(2.0, 0.5, 3.0, 0.0, 0.0, 0.0),
            Q,
            P,
            0.36 / (2 * 2 * 0.25) + 2 * 3 * 0.5 * (1 - np.cos(0.3)),
        ),
        (
            "henon_heiles",
            HenonHeiles(2.0, 3.0, 0.5),
            Q,
            P,
            0.61 / 4 + 3 * 0.73 / 2 + 0.5 * (0.09 * -0.8 + 0.512 / 3),
        ),
        (
            "magnetic_mirror",
            Mirror(2.0, 3.0, 0.5),
            Q,
            P,
            0.61 / 4 + 0.81 / 4 * (1 + 0.5 * (0.32 - 0.01125)) ** 2,
        ),
        (
            "three_body",
            Gravitation(np.array([1.0, 2.0, 3.0]), 0.5, 0.0),
            SQUARE[:3],
            SQUARE[:3],
            9 / 4 + 25 / 6 - 0.5 * (2 / 3 + 6 / 4 + 3 / 5),
        ),
        (
            "two_body",
            Gravitation(np.array([1.0, 2.0]), 0.5, 4.0),
            SQUARE[:2],
            SQUARE[:2],
            9 / 4 - 0.5 * 2 / 5,
        ),
        (
            "double_pendulum",
            DoublePendulum(np.array([1.2, 0.8]), np.array([0.9, 1.1]), 1.05),
            Q,
            P,
            arms_energy(),
        ),
        (
            "coupled_springs",
            SpringGraph(*np.tile([1.0, 2.0, 3.0, 4.0], (3, 1))),
            SQUARE,
            SQUARE,
            9 / 4 + 25 / 6 + 16 / 8 + (1 * 4 + 2 * 4 + 3 * 0 + 4 * 0) / 2,
        ),
    ],
)
def test_energies_are_those_written_by_hand(name, parameters, q, p, expected):
    found = jax.jit(get_mechanics(name).hamiltonian)(Phase(q, p), parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_damped_and_driven_systems_have_the_energy_of_the_free_ones():
    for name in ("damped_pendulum", "driven_pendulum"):
        assert get_mechanics(name).hamiltonian is get_mechanics("pendulum").hamiltonian
    assert get_mechanics("damped_spring").hamiltonian is get_mechanics("mass_spring").hamiltonian
    push = drive(Pendulum(1.0, 1.0, 1.0, 0.0, 0.5, 2.0), jnp.array(0.4))
    np.testing.assert_allclose(push, [[0.5 * np.cos(0.8), 0.0]])


@pytest.mark.parametrize("name", ["mass_spring", "pendulum", "damped_spring", "driven_pendulum"])
def test_the_surplus_coordinate_is_zero_and_stays(name, instances):
    _, states, _, rates = instances(name)
    for part in (*states, *rates):
        assert np.all(part[..., 1] == 0) and np.any(part[..., 0] != 0)


@pytest.mark.parametrize("name", MECHANICS)
def test_draws_are_accepted_varied_and_around_one(name, instances):
    mechanics = get_mechanics(name)
    parameters, states, energies, _ = instances(name)
    assert np.all(np.isfinite(energies)) and np.ptp(energies) > 0.05
    if mechanics.energy_limit is not None:
        assert np.all(energies < jax.jit(jax.vmap(mechanics.energy_limit))(parameters))
    for leaf in parameters[:2]:
        assert np.all((leaf >= 0.75) & (leaf <= 1.25)) and np.ptp(leaf) > 0.35
    for i in range(3):
        check_state(mechanics, *jax.tree.map(lambda leaf, i=i: leaf[i], (states, parameters)))


@pytest.mark.parametrize("name", ["two_body", "three_body", "four_body", "coupled_springs"])
def test_bodies_start_apart_around_a_centre_of_mass_at_rest(name, instances):
    mechanics = get_mechanics(name)
    parameters, states, _, _ = instances(name)
    senders, receivers = mechanics.edges
    apart = np.linalg.norm(states.q[:, senders] - states.q[:, receivers], axis=-1)
    assert apart.min() > 0.35
    np.testing.assert_allclose(np.sum(states.p, 1), 0, atol=1e-12)
    if name != "coupled_springs":
        centre = np.sum(parameters.mass[..., None] * states.q, 1)
        np.testing.assert_allclose(centre, 0, atol=1e-12)


def test_two_bodies_have_the_energy_of_their_ellipse(instances):
    parameters, states, energies, _ = instances("two_body")
    m1, m2 = parameters.mass.T
    between, momentum = states.q[:, 0] - states.q[:, 1], states.p[:, 0]
    reduced, strength = m1 * m2 / (m1 + m2), parameters.constant * m1 * m2
    axis = -strength / (2 * energies)
    turning = between[:, 0] * momentum[:, 1] - between[:, 1] * momentum[:, 0]
    eccentricity = np.sqrt(1 + 2 * energies * turning**2 / (reduced * strength**2))
    assert np.all((axis >= 0.75) & (axis <= 1.25)) and np.ptp(axis) > 0.4
    assert np.all(eccentricity <= 0.5) and np.ptp(eccentricity) > 0.4


def test_gravitation_does_not_care_for_the_order_of_particles(instance):
    mechanics = get_mechanics("four_body")
    parameters, state = instance("four_body")
    order = np.array([2, 0, 3, 1])
    turned = parameters._replace(mass=parameters.mass[order])
    energy = jax.jit(mechanics.hamiltonian)
    other = energy(Phase(state.q[order], state.p[order]), turned)
    np.testing.assert_allclose(other, energy(state, parameters), rtol=1e-13)


def test_edges_hold_every_interaction_in_both_directions():
    def pairs(mechanics):
        return set(zip(*map(list, mechanics.edges), strict=True))

    assert pairs(get_mechanics("pendulum")) == set()
    assert pairs(n_body(3)) == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}
    ring = {(0, 1), (1, 2), (2, 3), (0, 3)}
    assert pairs(get_mechanics("coupled_springs")) == ring | {(j, i) for i, j in ring}
    star = coupled_springs(3, [(0, 1), (0, 2)])
    assert len(star.edges.senders) == 4 and star.edges.senders.dtype == np.int32


def test_springs_on_a_graph_of_ones_own_start_near_rest():
    mechanics = coupled_springs(5, [(4, 0), (0, 2), (1, 2), (3, 1), (0, 1)])
    draws = jax.jit(jax.vmap(mechanics.draw))(jax.random.split(jax.random.key(0), 32))
    parameters, states = jax.device_get(draws)
    check_state(mechanics, *jax.tree.map(lambda leaf: leaf[0], (states, parameters)))
    first, second = (end[:5] for end in mechanics.edges)
    lengths = np.linalg.norm(states.q[:, first] - states.q[:, second], axis=-1)
    assert np.all(abs(lengths / parameters.length - 1) < 0.5)


def test_draws_keep_the_precision_asked_for():
    with enable_x64(False):
        drawn = jax.eval_shape(get_mechanics("three_body").draw, jax.random.key(0))
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(drawn))
    drawn = jax.eval_shape(get_mechanics("coupled_springs").draw, jax.random.key(0))
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(drawn))


def test_an_unknown_name_brings_up_the_nearest():
    expected = r"mechanics = 'henon_hailes'.*did you mean 'henon_heiles'"
    with pytest.raises(ConfigError, match=expected):
        get_mechanics("henon_hailes")


@pytest.mark.parametrize(
    ("name", "factor", "limit"),
    [
        ("pendulum", 3.0, "below"),
        ("henon_heiles", 4.0, "below"),
        ("magnetic_mirror", 5.0, "below"),
        ("three_body", 3.0, "below 0"),
        ("mass_spring", np.nan, "finite"),
        ("coupled_springs", 9.0, "below"),
        ("double_pendulum", 9.0, "below"),
    ],
)
def test_unbounded_energies_are_refused_with_number_and_limit(name, factor, limit, instance):
    mechanics = get_mechanics(name)
    parameters, state = instance(name)
    faster = state._replace(p=(state.p + 0.1) * factor)
    with pytest.raises(ConfigError, match=rf"energy = [\d.nan]+: expected.* {limit}"):
        check_state(mechanics, faster, parameters)


def test_coincident_particles_and_other_shapes_are_refused(instance):
    mechanics = get_mechanics("three_body")
    parameters, state = instance("three_body")
    for shift in (0.0, 0.03):
        near = state._replace(q=np.stack([*state.q[:2], state.q[0] + shift]))
        message = rf"separation = {0.0 if shift == 0 else '0.042'}.*0\.05 between particles 0 and 2"
        with pytest.raises(ConfigError, match=message):
            check_state(mechanics, near, parameters)
    with pytest.raises(ConfigError, match=r"state = .*\(2, 2\).*\(3, 2\)"):
        check_state(mechanics, Phase(state.q[:2], state.p[:2]), parameters)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: n_body(1), "particles"),
        (lambda: n_body(2, axis=(1.0, 0.5)), "axis"),
        (lambda: n_body(3, axis=(0.4, 0.6)), "axis"),
        (lambda: n_body(2, eccentricity=0.9), "eccentricity"),
        (lambda: n_body(3, eccentricity=0.5), "eccentricity"),
        (lambda: coupled_springs(1), "particles"),
        (lambda: coupled_springs(3, [(0, 1), (1, 3)]), "pairs"),
        (lambda: coupled_springs(3, [(0, 1), (1, 1)]), "pairs"),
        (lambda: coupled_springs(3, [(0, 1), (1, 0), (1, 2)]), "pairs"),
        (lambda: coupled_springs(4, [(0, 1), (2, 3)]), "pairs"),
        (lambda: coupled_springs(4, []), "pairs"),
    ],
)
def test_systems_that_cannot_be_are_refused(make, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        make()


def test_importing_metajax_does_not_import_diffrax():
    code = "import sys, metajax, metajax.nn; assert 'diffrax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
