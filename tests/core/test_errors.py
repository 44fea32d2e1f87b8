"""Errors that a person can act on."""

import pytest

from metajax.core import ConfigError, MetajaxError, one_of


def test_config_error_names_field_value_and_what_was_expected():
    error = ConfigError("learning_rate", -1.0, "a number above 0")
    assert str(error) == "learning_rate = -1.0: expected a number above 0"
    assert (error.field, error.value) == ("learning_rate", -1.0)
    assert isinstance(error, MetajaxError) and isinstance(error, ValueError)


def test_a_long_value_is_shown_by_its_beginning():
    said = str(ConfigError("labels", list(range(10**5)), "fewer"))
    assert len(said) < 300 and said.startswith("labels = [0, 1, 2") and "688,890 characters" in said


def test_one_of_returns_a_valid_name_and_offers_the_nearest_to_another():
    names = ["transformer", "lstm", "outer_product_lstm"]
    assert one_of("learner", "lstm", iter(names)) == "lstm"
    with pytest.raises(ConfigError, match="did you mean 'transformer'") as caught:
        one_of("learner", "tranformer", names)
    assert all(name in str(caught.value) for name in names)
    with pytest.raises(ConfigError) as caught:
        one_of("learner", "zzzz", names)
    assert "did you mean" not in str(caught.value)
    with pytest.raises(ConfigError, match="none"):
        one_of("learner", "lstm", [])
    for odd in (None, 3, ["lstm"], {}):
        with pytest.raises(ConfigError, match="one of"):
            one_of("learner", odd, names)
