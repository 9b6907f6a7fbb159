"""Models: load any image-text-to-text model, talk to it in its own words and numbers."""

from maniplvm.models.families import FAMILIES, Family, resolve_family
from maniplvm.models.generation import Decoding, Reply, generate_replies
from maniplvm.models.inputs import (
    Question,
    build_inputs,
    chat_messages,
    encode_batch,
    generate_texts,
)
from maniplvm.models.loading import (
    LoadedModel,
    ModelInterface,
    load_interface,
    load_model,
)
from maniplvm.models.lora import LoraSettings
from maniplvm.models.meta_model import build_skeleton
from maniplvm.models.parameters import ParameterCount, count_parameters
from maniplvm.models.shipped import EMBEDDED, shipped_folder
from maniplvm.models.tiny import TINY_FAMILIES, write_tiny_checkpoint
from maniplvm.models.vision_feature_cache import VisionFeatureCache
from maniplvm.models.weight_interpolation import blend

__all__ = [
    "EMBEDDED",
    "FAMILIES",
    "TINY_FAMILIES",
    "Decoding",
    "Family",
    "LoadedModel",
    "LoraSettings",
    "ModelInterface",
    "ParameterCount",
    "Question",
    "Reply",
    "VisionFeatureCache",
    "blend",
    "build_inputs",
    "build_skeleton",
    "chat_messages",
    "count_parameters",
    "encode_batch",
    "generate_replies",
    "generate_texts",
    "load_interface",
    "load_model",
    "resolve_family",
    "shipped_folder",
    "write_tiny_checkpoint",
]
