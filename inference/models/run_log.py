"""What the processes of a training run logged: the last lines of each run, for its page."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable

MAX_LINES = 300  # of a run; older ones go
MAX_TEXT = 500  # characters of a line


class RunLogLine(models.Model):
    """One line, without secrets."""

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    run = models.ForeignKey("inference.TrainingRun", on_delete=models.CASCADE, related_name="log_lines")
    at = models.DateTimeField(db_default=Now())
    attempt = models.PositiveIntegerField(help_text="Which of the run's attempts wrote it.")
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    text = models.CharField(max_length=MAX_TEXT)

    class Meta:
        ordering = ["id"]
        constraints = [times_are_readable("run_log_times_are_readable", "at")]

    def __str__(self) -> str:
        return f"{self.level} {self.text}"
