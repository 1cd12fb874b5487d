"""Where bands lie, from their names."""

_CENTRES = {  # nm, rounded: their order matters, and roughly their ratios
    "u": 355, "U": 365, "B": 440, "g": 480, "V": 550, "r": 620, "R": 650, "VIS": 700, "i": 760, "I": 800, "z": 900,
    "Z": 880, "y": 1000, "Y": 1020, "J": 1250, "H": 1650, "K": 2200, "Ks": 2150,
}  # fmt: skip


def wavelength(band: str) -> float | None:
    """About where a band lies, nm, from its name; None where the name does not tell."""
    if band in _CENTRES:
        return _CENTRES[band]
    if band[:1].upper() == "F" and band[1:4].isdigit():  # HST and JWST: F814W is 814 nm, F160W is 1600 nm
        count = int(band[1:4])
        return count * (1 if count >= 200 else 10)
    return _CENTRES.get(band.strip("'").split("_")[-1])
