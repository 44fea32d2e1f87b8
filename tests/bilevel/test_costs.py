"""What online estimators need as inner optimisations grow longer, as XLA's analysis counts it."""

import jax
import jax.numpy as jnp
import optax

from metajax.bilevel import OnlineParams, descend, hypergradient, minibatches, online
from metajax.core import Examples, Task

FEATURES = 4000


def bytes_needed(name, steps, every):
    """Of one compiled meta-step of ``steps`` inner steps, batches drawn inside."""

    def error(w, log_decay, batch):
        decay = jnp.sum(jnp.exp(log_decay) * jnp.square(w))
        return jnp.mean(jnp.square(jnp.tanh(batch.inputs @ w) - batch.targets)) + decay

    algorithm = online(
        hypergradient(name),
        descend(error, error, optax.sgd(0.1)),
        optax.sgd(0.1),
        init=lambda key, task: OnlineParams(jnp.full(FEATURES, -4.0), jnp.zeros(FEATURES)),
        inner_batches=minibatches(2),
        outer_batches=minibatches(2),
        inner_steps=steps,
        every=every,
        calibrate_every=None,
    )
    examples = Examples(jnp.ones((1, 5, FEATURES)), jnp.ones((1, 5)))
    tasks = Task(examples, examples)
    state = algorithm.init(jax.random.key(0), jax.tree.map(lambda x: x[0], tasks))
    compiled = jax.jit(algorithm.update).lower(state, tasks, jax.random.key(0)).compile()
    memory = compiled.memory_analysis()
    return memory.temp_size_in_bytes + memory.output_size_in_bytes


def test_memory_of_distilling_online_does_not_grow_with_the_run():
    assert bytes_needed("distilled", 200, 2) <= 1.05 * bytes_needed("distilled", 20, 2)


def test_memory_of_differentiating_the_whole_run_does():
    """So that the test above would see growth."""
    assert bytes_needed("unrolled", 200, 200) > 2 * bytes_needed("unrolled", 20, 20)
