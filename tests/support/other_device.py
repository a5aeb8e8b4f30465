"""A device that is not the CPU, on a machine without a GPU: every operation must stay on one device.

Tensors on torch's meta device have shapes and no numbers. Its own kernels let some mixtures pass that
CUDA refuses (a matrix product with a tensor of the CPU), so each operation is checked here. What CUDA
allows is allowed: scalars, copies, and indices of the CPU. A number that leaves the device is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = torch.device("meta")
_COPIES = {torch.ops.aten.copy_, torch.ops.aten._to_copy, torch.ops.aten.to}  # `to` without gradients
_NUMBERS = {torch.ops.aten._local_scalar_dense, torch.ops.aten.item, torch.ops.aten.is_nonzero}
_INDEXING = {torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_}


class MixedDevicesError(AssertionError):
    """An operation read tensors of two devices."""


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, and counts those on the other one.

    Attributes:
        operations: how many ran on the other device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __enter__(self):
        self._export = torch.onnx.export

        def export(*args, **kwargs):
            with _disable_current_modes():  # tracing and modes exclude each other; it is on the CPU
                return self._export(*args, **kwargs)

        torch.onnx.export = export
        return super().__enter__()

    def __exit__(self, *error):
        torch.onnx.export = self._export
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        packet = func.overloadpacket
        tensors = list(_tensors(packet, args, kwargs))
        devices = {tensor.device for tensor in tensors if tensor.dim()}
        if len(devices) > 1 and packet not in _COPIES:
            shapes = [(str(tensor.device), tuple(tensor.shape)) for tensor in tensors]
            raise MixedDevicesError(f"{func}: {shapes}")
        self.operations += OTHER in devices
        if packet in _NUMBERS and args[0].device == OTHER:
            number = torch.zeros((), dtype=args[0].dtype).item()
            return bool(number) if packet is torch.ops.aten.is_nonzero else number
        if packet in _COPIES and _leaves(args[0], kwargs):
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if packet is torch.ops.aten.copy_ and args[1].device == OTHER != args[0].device:
            return args[0].zero_()
        return func(*args, **kwargs)


def _leaves(tensor: torch.Tensor, kwargs: dict[str, Any]) -> bool:
    return tensor.device == OTHER and kwargs.get("device") not in (None, OTHER)


def _tensors(packet: Any, args: Any, kwargs: Any) -> Iterator[torch.Tensor]:
    for tensor in tree_leaves((args, kwargs)):
        if isinstance(tensor, torch.Tensor):
            # As CUDA does: an index may lie on the CPU, but none on the device for a tensor of the CPU.
            is_index = packet in _INDEXING and tensor is not args[0] and tensor.device.type == "cpu"
            if not is_index or tensor.dtype not in (torch.int64, torch.bool):
                yield tensor
