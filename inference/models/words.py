"""Words of catalogues, by which a question finds what it does not spell."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

MAX_WORD = 64  # characters: a longer one is no word that people type


class ItemWord(models.Model):
    """A word of a project's items as it is written there, and as people may type it."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="words")
    # Ordered by bytes: beginnings of words are looked up as ranges, whatever the server's language.
    word = models.CharField(max_length=MAX_WORD, db_collation="C")
    folded = models.CharField(
        max_length=4 * MAX_WORD, db_collation="C", help_text="Without accents, widths and case."
    )
    near = ArrayField(
        models.IntegerField(), help_text="Numbers that it shares with words of one letter's difference."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "word"], name="a_word_is_stored_once"),
        ]
        indexes = [
            # Few: who types what is stored finds it without them.
            models.Index(
                fields=["project", "folded"],
                condition=~Q(word=F("folded")),
                name="words_written_otherwise",
            ),
            GinIndex(fields=["near"], name="words_by_what_is_near"),
        ]

    def __str__(self) -> str:
        return self.word
