"""A folder as MLflow writes one of a model of its flavour ONNX."""

from __future__ import annotations

import onnx
import yaml

from tests.support.onnx_graphs import text_graph

FLAVOUR = {"code": None, "data": "model.onnx", "onnx_version": "1.23.2"}
PYFUNC = {"data": "model.onnx", "loader_module": "mlflow.onnx", "python_version": "3.11.7"}


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
    model = {"flavors": flavours, "mlflow_version": "3.17.2", "run_id": "ee48f785", **about}
    (folder / "MLmodel").write_text(yaml.safe_dump(model))
    if registered:
        meta = {"model_name": "intents", "model_version": "3"}
        (folder / "registered_model_meta").write_text(yaml.safe_dump(meta))
    return folder
