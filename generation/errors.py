"""Why a generation did not come out: a code for programs, a sentence for people, and which of them pass by themselves.

The provider's codes and texts are those of its own error pages and of recorded answers; whatever is unknown is final.
"""

import re
from typing import Final

from django.utils.translation import gettext, gettext_noop

# Known to be transient at the provider: a new attempt is made, at most twice.
TRANSIENT: Final = frozenset({"PA", "E9828", "E1000", "E6716", "E8765", "E9825"})

SENTENCES: Final = {
    "sensitive": gettext_noop("The model took something in the prompt or the picture as sensitive. Try other words."),
    "out_of_memory": gettext_noop(
        "The model ran out of memory at the provider. A smaller size or fewer references may help."
    ),
    "provider_error": gettext_noop("The model could not finish this one."),
    "provider_busy": gettext_noop(
        "The provider could not run this, even after several attempts. Try again in a while."
    ),
    "input_refused": gettext_noop("The provider did not accept these settings."),
    "model_unavailable": gettext_noop("The provider no longer offers this model."),
    "lost_in_sending": gettext_noop("The request was lost on its way to the provider, so nothing was made."),
    "provider_gone": gettext_noop("The provider this was sent to is no longer connected."),
    "queue_expired": gettext_noop("This waited for a whole day without the provider taking it."),
    "vanished": gettext_noop("The provider no longer knows this request."),
    "reference_missing": gettext_noop("A reference picture is no longer in the gallery."),
    "empty_output": gettext_noop("The provider reported success but sent no file."),
    "timed_out": gettext_noop("The provider did not start this in time."),
    "file_expired": gettext_noop("The provider had deleted the file before it could be saved."),
    "file_unusable": gettext_noop("The provider sent something that is not a picture or film."),
    "file_too_large": gettext_noop("The file is larger than this studio accepts."),
    "file_refused": gettext_noop("The provider named an address that this studio does not fetch from."),
    "account_deleted": gettext_noop("The account that it was made for is deleted."),
    "storage_unavailable": gettext_noop("The storage did not answer while the file was still there."),
}

# https://replicate.com/docs/reference/error-codes, and texts recorded from models.
PROVIDER_CODES: Final = {"E005": "sensitive", "E1001": "out_of_memory", "E8367": "timed_out"}
SENSITIVE_WORDS: Final = ("flagged as sensitive", "nsfw", "safety", "content policy")


def provider_code(text: str) -> str:
    """The provider's own code in an error text: `E1234` in brackets or alone, `PA`, or nothing."""
    found = re.search(r"\b(E\d{3,5})\b|code: (PA)\b", text)
    return (found.group(1) or found.group(2)) if found else ""


def is_transient(text: str) -> bool:
    """Whether the provider is known to recover from this by itself."""
    return provider_code(text) in TRANSIENT


def code_of(text: str) -> str:
    """Our code for the provider's error text."""
    found = provider_code(text)
    if found in PROVIDER_CODES:
        return PROVIDER_CODES[found]
    if found in TRANSIENT:
        return "provider_busy"
    if any(words in text.lower() for words in SENSITIVE_WORDS):
        return "sensitive"
    return "provider_error"


def sentence(code: str) -> str:
    """What happened, for people."""
    return gettext(SENTENCES.get(code, SENTENCES["provider_error"]))
