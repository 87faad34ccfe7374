"""English names of languages by their ISO 639-1 code, and of locales."""

from __future__ import annotations

import re

_CODE = re.compile(r"^(?P<language>[a-z]{2,3})(?:[-_][a-z0-9]{2,8})*$", re.IGNORECASE)

_TABLE = (
    "af Afrikaans|am Amharic|ar Arabic|as Assamese|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali|bo Tibetan|"
    "br Breton|bs Bosnian|ca Catalan|co Corsican|cs Czech|cy Welsh|da Danish|de German|el Greek|en English|"
    "eo Esperanto|es Spanish|et Estonian|eu Basque|fa Persian|fi Finnish|fo Faroese|fr French|fy Frisian|ga Irish|"
    "gd Scottish Gaelic|gl Galician|gu Gujarati|ha Hausa|he Hebrew|hi Hindi|hr Croatian|ht Haitian Creole|"
    "hu Hungarian|hy Armenian|id Indonesian|ig Igbo|is Icelandic|it Italian|ja Japanese|jv Javanese|ka Georgian|"
    "kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz|la Latin|lb Luxembourgish|lo Lao|lt Lithuanian|"
    "lv Latvian|mg Malagasy|mi Maori|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese|"
    "my Burmese|nb Norwegian|ne Nepali|nl Dutch|nn Norwegian|no Norwegian|oc Occitan|or Odia|pa Punjabi|pl Polish|"
    "ps Pashto|pt Portuguese|qu Quechua|rm Romansh|ro Romanian|ru Russian|rw Kinyarwanda|sd Sindhi|si Sinhala|"
    "sk Slovak|sl Slovenian|sn Shona|so Somali|sq Albanian|sr Serbian|su Sundanese|sv Swedish|sw Swahili|ta Tamil|"
    "te Telugu|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|tl Tagalog|tr Turkish|tt Tatar|ug Uyghur|uk Ukrainian|"
    "ur Urdu|uz Uzbek|vi Vietnamese|wo Wolof|xh Xhosa|yi Yiddish|yo Yoruba|zh Chinese|zu Zulu"
)

NAMES = {entry[:2]: entry[3:] for entry in _TABLE.split("|")}


def code_of(value: str) -> str | None:
    """The language code that a value such as `de`, `de-DE` or `DE_at` begins with; None for anything else."""
    match = _CODE.match(value)
    code = match["language"].lower() if match else ""
    return code if code in NAMES else None


def language_name(value: str) -> str | None:
    """`German` for `de`, `German (de-DE)` for a locale, `German` for itself; None for what is no known language."""
    code = code_of(value)
    if code is not None:
        return NAMES[code] if len(value) == len(code) else f"{NAMES[code]} ({value})"
    named = value.strip().capitalize()
    return named if named in NAMES.values() else None
