"""Read a model that MLflow stored: its folder, what it says of itself, and the graph in it.

The folder is read as files: MLflow's client is needed for an address alone (`models:/intents/3`), and
nothing of a model is loaded by it, because it would run what is in the file. A graph is taken as it is;
what has to be loaded first goes through `mlflow_conversion`. The server is named by
`MLFLOW_TRACKING_URI`, and must be public or allowed, as every address that somebody configured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from bakeoff.commands.mlflow_conversion import CONVERTED, MlflowModelError, convert_flavour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MLMODEL, REGISTERED = "MLmodel", "registered_model_meta"
MAX_ABOUT = 2**20  # bytes of a file that describes a model
_SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")
# Unless the environment has other values. By its defaults the client tries for minutes to reach a
# server that is away, and reports its use to its authors.
_CLIENT_SETTINGS = MappingProxyType(
    {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
)
# What a person does with a model of another flavour, by the flavour.
_REMEDIES = {
    "xgboost": "convert it where it was trained, by onnxmltools",
    "lightgbm": "convert it where it was trained, by onnxmltools",
    "tensorflow": "convert it where it was trained, by tf2onnx",
    "transformers": "export it where it was trained, by optimum",
}


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """A model as a graph.

    Attributes:
        graph: it, in one piece.
        labels: as its metadata or the model itself name them; empty where they do not.
        source: where it comes from: address, run, name, version, as far as that is known.
        inputs: what each input reads, where the model says it.
    """

    graph: bytes
    labels: tuple[str, ...]
    source: Mapping[str, str]
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_mlflow_model(
    uri: str, scratch: Path, *, trusted: bool = False, texts: Sequence[str] = ()
) -> MlflowModel:
    """Return a model by its folder or its address.

    Args:
        uri: a folder, or what MLflow resolves, such as `models:/intents/3`.
        scratch: a folder for what is downloaded.
        trusted: whether code in the model may run on this machine.
        texts: on which a converted model must answer as before.

    Raises:
        MlflowModelError: it cannot be had or read, or has no flavour that can be served.
    """
    folder = _download(uri, scratch) if uri.startswith(_SCHEMES) else Path(uri.removeprefix("file://"))
    if not (folder / MLMODEL).is_file():
        raise MlflowModelError(
            f"model_uri == '{uri}', must be an MLflow model: a folder with the file {MLMODEL}, or an "
            "address such as models:/NAME/3."
        )
    about = _read_yaml(folder / MLMODEL)
    flavours = about.get("flavors")
    if not isinstance(flavours, dict):
        raise MlflowModelError(f"the file {MLMODEL} of '{uri}' names no flavors.")
    source = _source_of(folder, about, uri)
    if any(flavour in flavours for flavour in CONVERTED) and "onnx" not in flavours:
        done = convert_flavour(folder, about, trusted=trusted, texts=texts)
        graph, inputs = done.graph, done.inputs
        source |= done.source
    else:
        done, graph, inputs = None, _read_graph(_graph_of(folder, flavours, uri)), {}
    metadata = about.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    of_model = tuple(done.labels) if done is not None else ()
    return MlflowModel(
        graph=graph,
        labels=tuple(map(str, labels)) if isinstance(labels, list) else of_model,
        source=source,
        inputs=inputs,
    )


def _download(uri: str, scratch: Path) -> Path:
    """Return the folder of a model that a tracking server stores.

    Raises:
        MlflowModelError: there is no client, its server may not be called or does not answer, or it has
            no such model.
    """
    for name, value in _CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)  # before the client reads them
    try:
        import mlflow
        from mlflow.artifacts import download_artifacts
    except ImportError as error:
        raise MlflowModelError(
            "an address of MLflow needs its client: pip install 'bakeoff[mlflow]'. Or download the "
            "model elsewhere, and name its folder."
        ) from error
    servers = {mlflow.get_tracking_uri(), mlflow.get_registry_uri()}
    for server in servers:
        _check_server(server)
    try:
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(scratch)))
    except Exception as error:  # each store of artifacts has errors of its own
        if _is_cut(error):
            raise MlflowModelError(
                f"model_uri == '{uri}': the server of MLFLOW_TRACKING_URI does not answer, or "
                "breaks off."
            ) from error
        line = str(error).strip().partition("\n")[0][:300].rstrip(".")
        raise MlflowModelError(f"model_uri == '{uri}': MLflow says: {line}.") from error


def _check_server(server: str) -> None:
    """Refuse a server by HTTP that is neither public nor allowed.

    Raises:
        MlflowModelError: the address breaks a rule.
    """
    from inference.outgoing import AddressRefusedError, AllowError, check_address

    if not server.startswith(("http:", "https:")):  # a folder, a database, a cloud's own client
        return
    try:
        check_address(server)
    except (AddressRefusedError, AllowError) as error:
        raise MlflowModelError(f"MLFLOW_TRACKING_URI: {error}") from error


def _is_cut(error: Exception) -> bool:
    """Whether a connection was not made, or ended before the answer did."""
    # Of files MLflow raises an error of its own, without its cause but with the cause's words.
    return any(words in str(error) for words in ("Max retries exceeded", "Connection broken"))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_ABOUT:
            raise MlflowModelError(f"{path.name} must have at most {MAX_ABOUT} bytes.")
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MlflowModelError(f"{path.name} cannot be read: {type(error).__name__}.") from error
    if not isinstance(content, dict):
        raise MlflowModelError(f"{path.name} must be a mapping.")
    return content


def _graph_of(folder: Path, flavours: Mapping[str, Any], uri: str) -> Path:
    """Return the file of the flavour ONNX, which must lie in the folder."""
    flavour = flavours.get("onnx")
    if not isinstance(flavour, dict):
        # What is converted does not come here. The flavour `python_function` is there beside any other:
        # it says nothing of what the model is.
        named = sorted(set(map(str, flavours)) - {"python_function"}) or ["python_function"]
        remedy = _REMEDIES.get(named[0], "convert it to ONNX where it was trained")
        raise MlflowModelError(
            f"flavors == {named}, must hold 'onnx', 'sklearn' or 'pytorch': others are code, which the "
            f"platform never loads. Please {remedy}, and log it by mlflow.onnx.log_model; or let "
            "`mlflow models serve` answer, and `bakeoff register --protocol mlflow --endpoint URL`."
        )
    path = folder / str(flavour.get("data", "model.onnx"))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise MlflowModelError(f"the graph of '{uri}' lies outside of its folder.")
    if path.is_dir():
        path /= "model.onnx"  # as MLflow saves it beside external data
    if not path.is_file():
        raise MlflowModelError(f"the graph of '{uri}' is missing: {path.name}.")
    return path


def _read_graph(path: Path) -> bytes:
    """Return a graph with its weights, which MLflow keeps in a file beside it by default."""
    import onnx
    from google.protobuf.message import DecodeError, EncodeError
    from onnx.checker import ValidationError

    try:
        # The library opens no weights outside of the folder.
        return bytes(onnx.load(str(path)).SerializeToString())
    except (OSError, ValueError, DecodeError, EncodeError, ValidationError) as error:
        line = str(error).strip().partition("\n")[0][:300].rstrip(".")
        raise MlflowModelError(f"{path.name} cannot be read as ONNX: {line}.") from error


def _source_of(folder: Path, about: Mapping[str, Any], uri: str) -> dict[str, str]:
    """Return where a model comes from, for its manifest."""
    source = {"kind": "mlflow", "model_uri": uri[-300:]}
    for name in ("run_id", "model_id", "model_uuid", "mlflow_version"):
        if value := about.get(name):
            source[name] = str(value)[:300]
    if (folder / REGISTERED).is_file():  # MLflow's client writes it beside what it downloads
        registered = _read_yaml(folder / REGISTERED)
        for name in ("model_name", "model_version"):
            if value := registered.get(name):
                source[name] = str(value)[:300]
    return source
