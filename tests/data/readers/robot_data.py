"""Synthetic robot episodes with a known camera, written in the schemas of LeRobot and RLDS."""

import json
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.data.conftest import encoded

SIZE = (64, 48)
FPS = 10
INTRINSICS = np.array([[60.0, 0, 33], [0, 62, 23], [0, 0, 1]])
CORNERS = np.array([[10.0, 10], [50, 14], [48, 40], [12, 36]])
DEPTHS = np.array([0.7, 0.75, 0.65, 0.7])
STATE_NAMES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]
CAMERA = "observation.images.front"


def camera_from_base():
    position, lookat = np.array([0.8, -0.5, 0.6]), np.array([0.3, 0.0, 0.1])
    forward = (lookat - position) / np.linalg.norm(lookat - position)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
    return pose


def lifted(pixels, depths):
    """The points of the robot's base frame at these pixels and depths."""
    rays = np.linalg.solve(INTRINSICS, np.column_stack([pixels, np.ones(len(pixels))]).T).T
    seen = np.column_stack([rays * np.asarray(depths)[:, None], np.ones(len(pixels))])
    return np.linalg.solve(camera_from_base(), seen.T).T[:, :3]


def walk(corners=CORNERS, depths=DEPTHS, steps=6):
    """A path of straight lines between corners; simplification keeps the corners."""
    points = lifted(corners, depths)
    legs = [np.linspace(a, b, steps, endpoint=False) for a, b in pairwise(points)]
    return np.vstack([*legs, points[-1]])


@dataclass
class Recorded:
    """One episode: the end effector's path, the instruction, and the grey level of the first image."""

    path: np.ndarray
    task: str = "put the cup on the shelf"
    grey: int = 100

    @property
    def states(self):
        return np.column_stack([self.path, np.zeros((len(self.path), 4))]).astype(np.float32)

    def images(self):
        """Images of one grey level that increases, so that each frame differs from its neighbours."""
        return [
            np.full((*SIZE[::-1], 3), self.grey + 4 * i, np.uint8) for i in range(len(self.path))
        ]


def write_calibration(path: Path, **changes) -> Path:
    content = {
        "image_size": list(SIZE),
        "intrinsics": INTRINSICS.tolist(),
        "extrinsics": {"camera_from_base": camera_from_base().tolist()},
        "position": {"names": ["x", "y", "z"]},
        **changes,
    }
    kept = {key: value for key, value in content.items() if value is not ...}
    path.write_text(json.dumps(kept) if path.suffix == ".json" else yaml.safe_dump(kept))
    return path


def write_video(path: Path, images, codec="libx264", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {key: str(value) for key, value in options.items()}
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def info(version: str, episodes, kind="video", **changes):
    height, width = SIZE[::-1]
    return {
        "codebase_version": version,
        "robot_type": "arm7",
        "total_episodes": len(episodes),
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": "0:2", "val": "2:9"},
        "features": {
            CAMERA: {"dtype": kind, "shape": [height, width, 3], "names": ["height", "width", "c"]},
            "observation.state": {"dtype": "float32", "shape": [7], "names": STATE_NAMES},
            "episode_index": {"dtype": "int64", "shape": [1], "names": None},
            "task_index": {"dtype": "int64", "shape": [1], "names": None},
        },
        **changes,
    }


def frames_table(episodes, tasks, first=0, kind="video"):
    """The rows of these episodes as LeRobot stores them."""
    columns = {
        "observation.state": [state.tolist() for one in episodes for state in one.states],
        "timestamp": [i / FPS for one in episodes for i in range(len(one.path))],
        "frame_index": [i for one in episodes for i in range(len(one.path))],
        "episode_index": [first + e for e, one in enumerate(episodes) for _ in one.path],
        "task_index": [tasks.index(one.task) for one in episodes for _ in one.path],
    }
    if kind == "image":
        cells = [
            {"bytes": encoded(SIZE, seed=first + e), "path": f"frame_{i:06d}.png"}
            for e, one in enumerate(episodes)
            for i in range(len(one.path))
        ]
        columns[CAMERA] = cells
    table = pa.table(columns)
    place = table.schema.get_field_index("observation.state")
    return table.set_column(
        place, "observation.state", table["observation.state"].cast(pa.list_(pa.float32()))
    )


def write_parquet(path: Path, table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_lines(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_lerobot_v2(root: Path, episodes, kind="video", **changes) -> Path:
    tasks = list(dict.fromkeys(one.task for one in episodes))
    rows = [
        {"episode_index": i, "tasks": [one.task], "length": len(one.path)}
        for i, one in enumerate(episodes)
    ]
    write_lines(root / "meta" / "episodes.jsonl", rows)
    write_lines(
        root / "meta" / "tasks.jsonl", [{"task_index": i, "task": t} for i, t in enumerate(tasks)]
    )
    (root / "meta" / "info.json").write_text(json.dumps(info("v2.1", episodes, kind, **changes)))
    for i, one in enumerate(episodes):
        name = f"chunk-000/episode_{i:06d}.parquet"
        write_parquet(root / "data" / name, frames_table([one], tasks, i, kind))
        if kind == "video":
            video = root / "videos" / "chunk-000" / CAMERA / f"episode_{i:06d}.mp4"
            write_video(video, one.images())
    return root


def write_lerobot_v3(root: Path, episodes, kind="video", per_file=2, **changes) -> Path:
    tasks = list(dict.fromkeys(one.task for one in episodes))
    rows = []
    for file, start in enumerate(range(0, len(episodes), per_file)):
        group = episodes[start : start + per_file]
        name = f"chunk-000/file-{file:03d}"
        write_parquet(root / "data" / f"{name}.parquet", frames_table(group, tasks, start, kind))
        if kind == "video":
            images = [image for one in group for image in one.images()]
            write_video(root / "videos" / CAMERA / f"{name}.mp4", images)
        passed = 0
        for i, one in enumerate(group, start):
            row = {
                "episode_index": i,
                "tasks": [one.task],
                "length": len(one.path),
                "data/chunk_index": 0,
                "data/file_index": file,
                "stats/index/mean": 0.5,
            }
            if kind == "video":
                row[f"videos/{CAMERA}/chunk_index"] = 0
                row[f"videos/{CAMERA}/file_index"] = file
                row[f"videos/{CAMERA}/from_timestamp"] = passed / FPS
                row[f"videos/{CAMERA}/to_timestamp"] = (passed + len(one.path)) / FPS
            rows.append(row)
            passed += len(one.path)
    write_parquet(
        root / "meta" / "episodes" / "chunk-000" / "file-000.parquet", pa.Table.from_pylist(rows)
    )
    write_parquet(
        root / "meta" / "tasks.parquet",
        pa.table({"task_index": list(range(len(tasks))), "__index_level_0__": tasks}),
    )
    (root / "meta" / "info.json").write_text(json.dumps(info("v3.0", episodes, kind, **changes)))
    return root


def slow_crc32c(data: bytes) -> int:
    """The CRC-32C by its definition, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = slow_crc32c(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """A TFRecord of these bytes."""
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", masked(head)) + data + struct.pack("<I", masked(data))


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values, packed=True) -> bytes:
    """A `tf.train.Feature` of byte strings, floats or integers."""
    if all(isinstance(value, bytes) for value in values):
        return delimited(1, b"".join(delimited(1, value) for value in values))
    if all(isinstance(value, int) for value in values):
        if packed:
            return delimited(3, delimited(1, b"".join(map(varint, values))))
        return delimited(3, b"".join(varint(1 << 3) + varint(value) for value in values))
    if packed:
        return delimited(2, delimited(1, struct.pack(f"<{len(values)}f", *values)))
    return delimited(2, b"".join(varint(1 << 3 | 5) + struct.pack("<f", value) for value in values))


def example(features: dict) -> bytes:
    """A `tf.train.Example`."""
    entries = (
        delimited(1, delimited(1, name.encode()) + delimited(2, feature(values)))
        for name, values in features.items()
    )
    return delimited(1, b"".join(entries))


def rlds_features(episode: Recorded, **changes) -> dict:
    steps = len(episode.path)
    found = {
        "steps/observation/image_0": [encoded(SIZE, seed=episode.grey + i) for i in range(steps)],
        "steps/observation/state": episode.states.reshape(-1).tolist(),
        "steps/language_instruction": [episode.task.encode()] * steps,
        "steps/is_first": [1] + [0] * (steps - 1),
        "episode_metadata/has_image_0": [1],
        **changes,
    }
    return {name: values for name, values in found.items() if values is not ...}


def _leaf(kind, **content):
    return {"pythonClassName": f"tensorflow_datasets.core.features.{kind}", **content}


def rlds_schema(**observation):
    def node(features):
        return _leaf("features_dict.FeaturesDict", featuresDict={"features": features})

    def tensor(dtype, *sides):
        shape = {"dimensions": [str(side) for side in sides]} if sides else {}
        return _leaf(
            "tensor_feature.Tensor", tensor={"shape": shape, "dtype": dtype, "encoding": "none"}
        )

    image = {"shape": {"dimensions": ["48", "64", "3"]}, "dtype": "uint8", "encodingFormat": "png"}
    seen = {
        "image_0": _leaf("image_feature.Image", image=image),
        "state": tensor("float32", 7),
        **observation,
    }
    step = node(
        {
            "observation": node(seen),
            "language_instruction": _leaf("text_feature.Text", text={}),
            "is_first": tensor("bool"),
        }
    )
    steps = _leaf("dataset_feature.Dataset", sequence={"feature": step, "length": "-1"})
    return node({"steps": steps, "episode_metadata": node({"has_image_0": tensor("bool")})})


def write_rlds(root: Path, records, schema=None, counts=None, split="train") -> Path:
    """One shard; `records` are features by name, or raw bytes that are written as they are."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "features.json").write_text(json.dumps(schema or rlds_schema()))
    lengths = [str(count) for count in (counts or [len(records)])]
    about = {"name": "kitchen", "splits": [{"name": split, "shardLengths": lengths}]}
    (root / "dataset_info.json").write_text(json.dumps(about))
    shard = root / f"kitchen-{split}.tfrecord-00000-of-00001"
    shard.write_bytes(
        b"".join(one if isinstance(one, bytes) else framed(example(one)) for one in records)
    )
    return shard
