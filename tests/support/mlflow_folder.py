"""Folders as MLflow 3.17 writes them of models of several flavours."""

from __future__ import annotations

import json
import pickle

import onnx
import skops.io
import torch
import yaml

from tests.support.onnx_graphs import text_graph

FLAVOUR = {"code": None, "data": "model.onnx", "onnx_version": "1.23.2"}
PYFUNC = {"data": "model.onnx", "loader_module": "mlflow.onnx", "python_version": "3.11.7"}
SUFFIXES = {"skops": "skops", "pickle": "pkl", "cloudpickle": "pkl"}


def save_model(folder, *, flavours=None, external=False, registered=True, **about):
    """Write what `mlflow.onnx.save_model` of MLflow 3.17 does, and what its client adds."""
    folder.mkdir()
    onnx.save_model(
        onnx.load_model_from_string(text_graph()),
        folder / "model.onnx",
        save_as_external_data=external,
        size_threshold=0,
        location="model.onnx.data",
    )
    flavours = flavours or {"onnx": FLAVOUR, "python_function": PYFUNC}
    return describe(folder, flavours, registered=registered, **about)


def save_sklearn(folder, model, *, serialization="skops", **about):
    """Write what `mlflow.sklearn.save_model` does; skops is its default."""
    folder.mkdir()
    name = f"model.{SUFFIXES[serialization]}"
    if serialization == "skops":
        skops.io.dump(model, folder / name)
    else:
        (folder / name).write_bytes(pickle.dumps(model))
    flavour = {
        "code": None, "pickled_model": name, "serialization_format": serialization,
        "sklearn_version": "1.9.1", "skops_trusted_types": None,
    }  # fmt: skip
    pyfunc = {"loader_module": "mlflow.sklearn", "model_path": name, "predict_fn": "predict"}
    return describe(folder, {"sklearn": flavour, "python_function": pyfunc}, **about)


def save_torch(folder, module, *, width, exported=True, rows=2, **about):
    """Write what `mlflow.pytorch.save_model` does; pt2 is its default."""
    data = folder / "data"
    data.mkdir(parents=True)
    if exported:
        shapes = ({0: torch.export.Dim.AUTO},)
        program = torch.export.export(module, (torch.zeros(rows, width),), dynamic_shapes=shapes)
        torch.export.save(program, data / "model.pt2")
    else:
        (data / "pickle_module_info.txt").write_text("pickle")
        torch.save(module, data / "model.pth")
    tensor = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, width]}}
    flavours = {
        "pytorch": {"code": None, "model_data": "data", "pytorch_version": "2.13.0"},
        "python_function": {"data": "data", "loader_module": "mlflow.pytorch"},
    }
    return describe(folder, flavours, **{"signature": {"inputs": json.dumps([tensor])}, **about})


def describe(folder, flavours, *, registered=True, **about):
    """Write the file MLmodel, and what the client adds to a download."""
    model = {"flavors": flavours, "mlflow_version": "3.17.2", "run_id": "ee48f785", **about}
    (folder / "MLmodel").write_text(yaml.safe_dump(model))
    if registered:
        meta = {"model_name": "intents", "model_version": "3"}
        (folder / "registered_model_meta").write_text(yaml.safe_dump(meta))
    return folder
