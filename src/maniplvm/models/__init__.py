"""Vision-language models: loading, prompt encoding, generation, LoRA and weight interpolation."""

from maniplvm.models.architectures import ARCHITECTURES, find_architecture, write_architecture
from maniplvm.models.families import FAMILIES, Family, resolve_family
from maniplvm.models.generation import Completion, Decoding, generate
from maniplvm.models.interface import LoadedModel, ModelInterface
from maniplvm.models.loading import build_meta_model, load_interface, load_model
from maniplvm.models.lora import LoraSettings
from maniplvm.models.parameters import ParameterCount, count_parameters, find_non_finite
from maniplvm.models.prompt_encoding import (
    ImageTextPrompt,
    build_inputs,
    chat_messages,
    encode_batch,
)
from maniplvm.models.tiny import TINY_FAMILIES, write_tiny_checkpoint
from maniplvm.models.vision_feature_cache import VisionFeatureCache
from maniplvm.models.weight_interpolation import interpolate_weights

__all__ = [
    "ARCHITECTURES",
    "FAMILIES",
    "TINY_FAMILIES",
    "Completion",
    "Decoding",
    "Family",
    "ImageTextPrompt",
    "LoadedModel",
    "LoraSettings",
    "ModelInterface",
    "ParameterCount",
    "VisionFeatureCache",
    "build_inputs",
    "build_meta_model",
    "chat_messages",
    "count_parameters",
    "encode_batch",
    "find_architecture",
    "find_non_finite",
    "generate",
    "interpolate_weights",
    "load_interface",
    "load_model",
    "resolve_family",
    "write_architecture",
    "write_tiny_checkpoint",
]
