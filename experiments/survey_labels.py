"""The words around a survey's question, in the language that it is read in.

Pure. English is not here: it is what a page shows by itself.
"""

from __future__ import annotations

import re

# Two buttons, the sentence after an answer, the field below a scale, the sentence after a failure.
_NAMES = ("send", "dismiss", "thanks", "comment", "failed")
_LABELS = {
    "de": (
        "Senden",
        "Nicht jetzt",
        "Vielen Dank.",
        "Möchten Sie noch etwas sagen?",
        "Das hat nicht geklappt. Bitte versuchen Sie es noch einmal.",
    ),
    "es": (
        "Enviar",
        "Ahora no",
        "Gracias.",
        "¿Algo que añadir?",
        "No ha funcionado. Inténtelo de nuevo.",
    ),
    "fr": (
        "Envoyer",
        "Pas maintenant",
        "Merci.",
        "Quelque chose à ajouter ?",
        "Cela n'a pas fonctionné. Veuillez réessayer.",
    ),
    "it": (
        "Invia",
        "Non ora",
        "Grazie.",
        "Vuole aggiungere qualcosa?",
        "Non ha funzionato. Riprovi.",
    ),
    "ja": (
        "送信",
        "後で",
        "ありがとうございました。",
        "ご意見があればお書きください",
        "送信できませんでした。もう一度お試しください。",
    ),
    "pt": (
        "Enviar",
        "Agora não",
        "Obrigado.",
        "Algo a acrescentar?",
        "Não funcionou. Tente novamente.",
    ),
    "zh": ("提交", "暂不回答", "谢谢。", "还有什么想说的吗？", "提交失败，请重试。"),
    "zh-Hant": ("提交", "暫不回答", "謝謝。", "還有什麼想說的嗎？", "提交失敗，請重試。"),
}
_HAN, _KANA = re.compile("[\u4e00-\u9fff]"), re.compile("[\u3040-\u30ff]")


def labels_of(language: str) -> dict[str, str]:
    """Return the words by name; empty where a page shows English.

    Args:
        language: its tag; zh-Hant-TW is read as zh-Hant, de-AT as de.
    """
    tag = language
    while tag:
        if tag in _LABELS:
            return dict(zip(_NAMES, _LABELS[tag], strict=True))
        tag = tag.rpartition("-")[0]
    return {}


def language_of(text: str) -> str:
    """Return the language of a text where its script tells: zh or ja; else the empty text."""
    if _KANA.search(text):
        return "ja"
    return "zh" if _HAN.search(text) else ""
