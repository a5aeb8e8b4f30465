"""What a generator must do: learn from preferences and export to a file that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft
    from inference.training.preferences import PreferenceData

GGUF = "gguf"  # form of an artifact whose model.gguf the local process serves
MODEL_FILE, ADAPTER_FILE = "model.gguf", "adapter.safetensors"


class Generator(Protocol):
    """One way to learn.

    Attributes:
        name: how commands and versions call it.
        reads_pairs: whether a row needs a worse answer beside the better one.
        primary: metric by which its gate decides.
    """

    name: str
    reads_pairs: bool
    primary: str

    def fit(self, data: PreferenceData, options: FitOptions) -> ArtifactDraft:
        """Learn and return what is to be exported.

        Raises:
            ValueError: the data or a hyper-parameter does not allow it.
        """
        ...
