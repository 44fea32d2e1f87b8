"""Network blocks behind ``Network`` and ``SequenceNetwork``, and adapters for a user's own."""

from metajax.nn.adapters import from_equinox, from_linen, from_nnx
from metajax.nn.autoencoders import (
    Autoencoder,
    conv_autoencoder,
    conv_encoder,
    normal_divergence,
    variational_loss,
)
from metajax.nn.class_channels import (
    DIRECTION_KERNELS,
    KERNELS,
    ClassChannels,
    RidgeKernel,
    SetChannels,
    class_shares,
    discriminant_channels,
    joined,
    ridge_channels,
    solved_channels,
)
from metajax.nn.conv import (
    batch_normalise,
    conv2d,
    conv_block,
    conv_net,
    conv_params,
    image_normalise,
    max_pool,
)
from metajax.nn.discriminant import (
    SetDistances,
    causal_discriminant,
    causal_shrunk_discriminant,
    set_discriminant,
)
from metajax.nn.fourier import fourier_features, grid_positions
from metajax.nn.graph import Graph, graph_net, pad_graph
from metajax.nn.initial import draw_normals, draw_orthogonal, lecun_stddev
from metajax.nn.interpolate import image_function
from metajax.nn.intervals import (
    Interval,
    between,
    exact,
    interval_activation,
    interval_dense,
    interval_mlp,
)
from metajax.nn.jets import Jet
from metajax.nn.kernel_logistics import (
    KernelLogistic,
    kernel_logistic,
    kernel_logistic_predict,
    probabilities,
)
from metajax.nn.kernel_ridge import Predicted, SetPredicted, causal_ridge, set_ridge
from metajax.nn.merged import merged_program
from metajax.nn.modulation import FiLM, film
from metajax.nn.parted import Averages, PartedNetwork, normalise_by, parted_conv_net
from metajax.nn.perceptron import mlp
from metajax.nn.pinn import PINN, modified_mlp
from metajax.nn.recurrent import (
    LSTMState,
    OuterProductState,
    lstm,
    lstm_step,
    outer_product_lstm,
)
from metajax.nn.regression import (
    Factored,
    damped_least_squares,
    factored_least_squares,
    least_squares,
    ridge_scores,
)
from metajax.nn.selection import orthogonal_least_squares
from metajax.nn.similarity import (
    InnerProducts,
    inner_products,
    mean_square,
    running_mean_square,
    similarities,
)
from metajax.nn.similarity_networks import (
    SimilarityNetwork,
    causal_channels,
    similarity_network,
)
from metajax.nn.solves import (
    cholesky,
    one_at_a_time,
    positive_solve,
    thin_svd,
    triangular_solve,
)
from metajax.nn.spectral import fourier_operator, spectral_conv2d
from metajax.nn.stacks import layer_stack
from metajax.nn.token_sets import token_set_encoder
from metajax.nn.transformer import KVCache, causal_transformer
from metajax.nn.vision import attention_pool, grid_embedding, swin, unet_decoder

__all__ = [
    "DIRECTION_KERNELS",
    "KERNELS",
    "PINN",
    "Autoencoder",
    "Averages",
    "ClassChannels",
    "Factored",
    "FiLM",
    "Graph",
    "InnerProducts",
    "Interval",
    "Jet",
    "KVCache",
    "KernelLogistic",
    "LSTMState",
    "OuterProductState",
    "PartedNetwork",
    "Predicted",
    "RidgeKernel",
    "SetChannels",
    "SetDistances",
    "SetPredicted",
    "SimilarityNetwork",
    "attention_pool",
    "batch_normalise",
    "between",
    "causal_channels",
    "causal_discriminant",
    "causal_ridge",
    "causal_shrunk_discriminant",
    "causal_transformer",
    "cholesky",
    "class_shares",
    "conv2d",
    "conv_autoencoder",
    "conv_block",
    "conv_encoder",
    "conv_net",
    "conv_params",
    "damped_least_squares",
    "discriminant_channels",
    "draw_normals",
    "draw_orthogonal",
    "exact",
    "factored_least_squares",
    "film",
    "fourier_features",
    "fourier_operator",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "graph_net",
    "grid_embedding",
    "grid_positions",
    "image_function",
    "image_normalise",
    "inner_products",
    "interval_activation",
    "interval_dense",
    "interval_mlp",
    "joined",
    "kernel_logistic",
    "kernel_logistic_predict",
    "layer_stack",
    "least_squares",
    "lecun_stddev",
    "lstm",
    "lstm_step",
    "max_pool",
    "mean_square",
    "merged_program",
    "mlp",
    "modified_mlp",
    "normal_divergence",
    "normalise_by",
    "one_at_a_time",
    "orthogonal_least_squares",
    "outer_product_lstm",
    "pad_graph",
    "parted_conv_net",
    "positive_solve",
    "probabilities",
    "ridge_channels",
    "ridge_scores",
    "running_mean_square",
    "set_discriminant",
    "set_ridge",
    "similarities",
    "similarity_network",
    "solved_channels",
    "spectral_conv2d",
    "swin",
    "thin_svd",
    "token_set_encoder",
    "triangular_solve",
    "unet_decoder",
    "variational_loss",
]
