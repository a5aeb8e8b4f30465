"""The form that adds a picture to a variant."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

MAX_MEGABYTES = 10  # the action's own bound: what is larger is refused before it is read


class PictureForm(forms.Form):
    """A file with a picture."""

    picture = forms.FileField(
        label=gettext_lazy("Picture"),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp,image/gif"}),
        help_text=gettext_lazy("At most 10 MB. What the camera noted is removed."),
    )

    def clean_picture(self) -> bytes:
        """Return the file's bytes.

        Raises:
            ValidationError: there are too many.
        """
        file: Any = self.cleaned_data["picture"]
        if file.size > MAX_MEGABYTES * 2**20:
            sentence = gettext_lazy("The picture is larger than 10 MB. Choose a smaller one.")
            raise forms.ValidationError(sentence)
        content: bytes = file.read()
        return content
