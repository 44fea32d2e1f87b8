"""Arrays in: sets on disk, pools on the device, pipelines from the host.

TFDS, Grain, scikit-learn and Pillow are imported by the functions that need them.
"""

from metajax.data.augment import crop_and_flip
from metajax.data.builders import prepare, write_arrays
from metajax.data.class_folders import LabeledFolder, read_image_folder, read_labeled_folder
from metajax.data.domains import DomainInputs, Domains, DomainTasks, domain_circle
from metajax.data.episodes import EpisodeTasks, TaskParts, episode_parts, episode_tasks
from metajax.data.errors import BadDataError, MissingDataError
from metajax.data.frames import (
    CodedFrame,
    Frame,
    code_frame,
    frame_inputs,
    number_target,
    read_columns,
    read_frame,
)
from metajax.data.glyphs import glyph_images
from metajax.data.host import host_batches, pool_statistics
from metajax.data.images import (
    ImageSet,
    OpenSet,
    SetRow,
    is_known,
    list_sets,
    load_arrays,
    load_images,
    open_set,
    prepared,
    rotated_classes,
    select_classes,
    set_splits,
    split_classes,
)
from metajax.data.locations import set_path
from metajax.data.pixels import resize_images
from metajax.data.pool import ImagePool, device_pool, noise_pool, normalise
from metajax.data.scales import shift_and_factor
from metajax.data.sinusoid import SinusoidTasks, sinusoid_tasks
from metajax.data.tables import MISSING, TableTasks
from metajax.data.texts import (
    TextWindows,
    character_codes,
    frequent_characters,
    load_text,
    text_windows,
)

__all__ = [
    "MISSING",
    "BadDataError",
    "CodedFrame",
    "DomainInputs",
    "DomainTasks",
    "Domains",
    "EpisodeTasks",
    "Frame",
    "ImagePool",
    "ImageSet",
    "LabeledFolder",
    "MissingDataError",
    "OpenSet",
    "SetRow",
    "SinusoidTasks",
    "TableTasks",
    "TaskParts",
    "TextWindows",
    "character_codes",
    "code_frame",
    "crop_and_flip",
    "device_pool",
    "domain_circle",
    "episode_parts",
    "episode_tasks",
    "frame_inputs",
    "frequent_characters",
    "glyph_images",
    "host_batches",
    "is_known",
    "list_sets",
    "load_arrays",
    "load_images",
    "load_text",
    "noise_pool",
    "normalise",
    "number_target",
    "open_set",
    "pool_statistics",
    "prepare",
    "prepared",
    "read_columns",
    "read_frame",
    "read_image_folder",
    "read_labeled_folder",
    "resize_images",
    "rotated_classes",
    "select_classes",
    "set_path",
    "set_splits",
    "shift_and_factor",
    "sinusoid_tasks",
    "split_classes",
    "text_windows",
    "write_arrays",
]
