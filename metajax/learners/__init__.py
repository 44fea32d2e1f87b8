"""Few-shot learners: any network, loss and optax optimizer make a ``MetaLearner``."""

from metajax.core import cross_entropy
from metajax.learners.activated_experts import (
    ActivatedExperts,
    activity_of_domains,
    domain_votes,
    hidden_activity,
    router_loss,
)
from metajax.learners.averages import AverageState, with_average
from metajax.learners.cell_grids import shared_cells
from metajax.learners.checked_steps import checked_descent
from metajax.learners.closed_forms import (
    KernelRidge,
    center_scores,
    class_centers,
    class_means,
    discriminant,
    from_stream,
    kernel_ridge,
    logistic_regression,
)
from metajax.learners.conditioned import generated_network, one_network
from metajax.learners.context_parameters import cavia, concatenated, paired
from metajax.learners.contrastive import contrastive_loss
from metajax.learners.distilling import (
    mutual_students,
    smoothed_cross_entropy,
    smoothed_labels,
    soft_cross_entropy,
    taught_student,
)
from metajax.learners.domain_experts import (
    DistilledExperts,
    DistilledParams,
    Experts,
    FeatureNetwork,
    context_student,
    expert_vote,
    pooled_training,
)
from metajax.learners.early_stopping import (
    Snapshots,
    SnapshotState,
    stopped_early,
    with_snapshots,
)
from metajax.learners.evolution_strategies import evolution
from metajax.learners.expert_blocks import (
    BlockRoutes,
    apply_experts,
    feed_forward_blocks,
    tuned_experts,
    upcycle_blocks,
)
from metajax.learners.growing import GrowthParams, GrowthStage, GrowthState, in_growing_stages
from metajax.learners.image_edits import (
    after_generator,
    edit_functions,
    edited_along,
    edited_images,
    encode,
    image_errors,
    image_generator,
    shared_edit,
    tuned_latent,
    tuned_weights,
    weight_edits,
)
from metajax.learners.implicit_maml import imaml
from metajax.learners.incubating import (
    assembled,
    each_apart,
    hybrid_layers,
    incubating_parts,
    incubation,
)
from metajax.learners.inner import adaptation_curve, gradient_learner
from metajax.learners.kernel_mixture import predict_mixture, solve_mixture
from metajax.learners.latent_diffusion import Autoencoding, SetReader, weight_diffusion
from metajax.learners.linear_heads import LinearHeadParams, adapt_in_float64, linear_head
from metajax.learners.logistic_head import logistic, logistic_solution
from metajax.learners.lone_widths import networks_alone
from metajax.learners.losses import mean_squared_error
from metajax.learners.maml_family import (
    MultiStepState,
    RatedParams,
    Selection,
    anil,
    annealed_weights,
    first_order_maml,
    maml,
    meta_sgd,
    multi_step_gradient,
)
from metajax.learners.metric import Memory, matching, prototypical
from metajax.learners.modality_readers import (
    averaged_adapters,
    modality_reader,
    rotated,
    shared_projector,
    text_logits,
)
from metajax.learners.neighbor_vote import k_nearest
from metajax.learners.pruning_stages import pruning_metanetwork, sparse_networks, train_masked
from metajax.learners.reptile_family import ReptileState, reptile
from metajax.learners.ridge_head import RidgeParams, ridge, ridge_solution
from metajax.learners.sequences import (
    SequenceLearner,
    context_free,
    in_context,
    nearest_neighbour,
    online_adam,
    online_sgd,
    predict_after,
    sequence_learner,
    whole_sequence,
)
from metajax.learners.similarity_learners import by_similarity
from metajax.learners.solved_head import SolvedParams, anil_solved
from metajax.learners.stages import Stage, StagesState, in_stages, moving_only
from metajax.learners.subnetworks import lone_subnetworks, shared_subnetworks
from metajax.learners.svm_head import SvmParams, svm, svm_weights
from metajax.learners.table_baselines import table_frequencies, table_logistic
from metajax.learners.table_readers import table_reader
from metajax.learners.weight_codes import WeightCode, autoencoder_code, principal_code
from metajax.learners.weight_models import (
    nearest_network,
    ridge_predictions,
    weight_regression,
    with_solved_head,
    zoo_mean,
)
from metajax.learners.width_stages import (
    Metamorphosis,
    MetamorphosisParams,
    metamorphosis,
)
from metajax.learners.zoo_stages import (
    Embed,
    ModelStage,
    WeightModel,
    flat_weights,
    network_zoo,
    repeated,
    weights_from,
    zoo_training,
)

__all__ = [
    "ActivatedExperts",
    "Autoencoding",
    "AverageState",
    "BlockRoutes",
    "DistilledExperts",
    "DistilledParams",
    "Embed",
    "Experts",
    "FeatureNetwork",
    "GrowthParams",
    "GrowthStage",
    "GrowthState",
    "KernelRidge",
    "LinearHeadParams",
    "Memory",
    "Metamorphosis",
    "MetamorphosisParams",
    "ModelStage",
    "MultiStepState",
    "RatedParams",
    "ReptileState",
    "RidgeParams",
    "Selection",
    "SequenceLearner",
    "SetReader",
    "SnapshotState",
    "Snapshots",
    "SolvedParams",
    "Stage",
    "StagesState",
    "SvmParams",
    "WeightCode",
    "WeightModel",
    "activity_of_domains",
    "adapt_in_float64",
    "adaptation_curve",
    "after_generator",
    "anil",
    "anil_solved",
    "annealed_weights",
    "apply_experts",
    "assembled",
    "autoencoder_code",
    "averaged_adapters",
    "by_similarity",
    "cavia",
    "center_scores",
    "checked_descent",
    "class_centers",
    "class_means",
    "concatenated",
    "context_free",
    "context_student",
    "contrastive_loss",
    "cross_entropy",
    "discriminant",
    "domain_votes",
    "each_apart",
    "edit_functions",
    "edited_along",
    "edited_images",
    "encode",
    "evolution",
    "expert_vote",
    "feed_forward_blocks",
    "first_order_maml",
    "flat_weights",
    "from_stream",
    "generated_network",
    "gradient_learner",
    "hidden_activity",
    "hybrid_layers",
    "image_errors",
    "image_generator",
    "imaml",
    "in_context",
    "in_growing_stages",
    "in_stages",
    "incubating_parts",
    "incubation",
    "k_nearest",
    "kernel_ridge",
    "linear_head",
    "logistic",
    "logistic_regression",
    "logistic_solution",
    "lone_subnetworks",
    "maml",
    "matching",
    "mean_squared_error",
    "meta_sgd",
    "metamorphosis",
    "modality_reader",
    "moving_only",
    "multi_step_gradient",
    "mutual_students",
    "nearest_neighbour",
    "nearest_network",
    "network_zoo",
    "networks_alone",
    "one_network",
    "online_adam",
    "online_sgd",
    "paired",
    "pooled_training",
    "predict_after",
    "predict_mixture",
    "principal_code",
    "prototypical",
    "pruning_metanetwork",
    "repeated",
    "reptile",
    "ridge",
    "ridge_predictions",
    "ridge_solution",
    "rotated",
    "router_loss",
    "sequence_learner",
    "shared_cells",
    "shared_edit",
    "shared_projector",
    "shared_subnetworks",
    "smoothed_cross_entropy",
    "smoothed_labels",
    "soft_cross_entropy",
    "solve_mixture",
    "sparse_networks",
    "stopped_early",
    "svm",
    "svm_weights",
    "table_frequencies",
    "table_logistic",
    "table_reader",
    "taught_student",
    "text_logits",
    "train_masked",
    "tuned_experts",
    "tuned_latent",
    "tuned_weights",
    "upcycle_blocks",
    "weight_diffusion",
    "weight_edits",
    "weight_regression",
    "weights_from",
    "whole_sequence",
    "with_average",
    "with_snapshots",
    "with_solved_head",
    "zoo_mean",
    "zoo_training",
]
