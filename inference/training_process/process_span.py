"""The span of the process of a training, where the worker that started it traces."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

from inference.process_group import place
from inference.trace_context import TRACEPARENT

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def process_span() -> AbstractContextManager[None]:
    """Let a span in the trace of the training's task last as long as the block.

    None where its worker traces nothing, and for all but the first of several processes.
    """
    if not os.environ.get(TRACEPARENT) or place():
        return nullcontext()
    span: AbstractContextManager[None] = import_string(settings.PROCESS_SPAN)(
        "train", service="bakeoff-training"
    )
    return span
