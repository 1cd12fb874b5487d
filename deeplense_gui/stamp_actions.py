"""Commands about the stamp of the selected candidate: how it is seen, and what a network or a model makes of it."""

from __future__ import annotations

from deeplense_gui.grading_actions import Action
from deeplense_gui.session import Session


def can_look_closer(session: Session) -> bool:
    """Whether a candidate is selected whose pixels are there."""
    candidate = session.candidate()
    return candidate is not None and session.mosaic_of(candidate) is not None


def can_explain(session: Session) -> bool:
    """Whether it may be said what a network or a model makes of the selected candidate."""
    return can_look_closer(session) and not session.conceals(session.candidate())


def can_copy(session: Session) -> bool:
    """Whether the position of the selected candidate may be told."""
    return session.selection is not None and not session.conceals(session.candidate())


STAMP: tuple[Action, ...] = (
    Action(
        "explain.gradcam", "Explain: Grad-CAM", ("E",), lambda window: window.session.explain("gradcam"),
        "Show which parts of the stamp made the score", "Stamp", "saliency", can_explain,
    ),
    Action(
        "explain.gradients", "Explain: integrated gradients", ("Shift+E",),
        lambda window: window.session.explain("integrated_gradients"),
        "Show which pixels made the score; slower, and finer", "Stamp", "saliency", can_explain,
    ),
    Action(
        "stamp.probe", "What the score hangs on", ("Shift+P",), lambda window: window.probe(),
        "Score the stamp in worse seeing, fainter, moved, and in each band alone", "Stamp", "",
        lambda session: session.can_probe,
    ),
    Action(
        "stamp.lens", "Fit a lens model", ("Shift+M",), lambda window: window.fit_lens(),
        "Fit a lens to the candidate: Einstein radius, model, what is left over", "Stamp", "", can_explain,
    ),
    Action(
        "stamp.substructure", "Tell substructure", ("Shift+D",), lambda window: window.tell_substructure(),
        "Compare the stamp with copies of its lens, with and without dark substructure", "Stamp", "", can_explain,
    ),
    Action(
        "stamp.next_view", "Next view", ("V",), lambda window: window.panels["inspector"].next_view(),
        "Show the next of the views large: colours, stretches, bands, residual", "Stamp", "", can_look_closer,
        separator=True,
    ),
    Action(
        "stamp.previous_view", "Previous view", ("Shift+V",), lambda window: window.panels["inspector"].next_view(-1),
        "Show the view before large", "Stamp", "", can_look_closer,
    ),
    Action(
        "stamp.closer", "Narrower field", ("]",), lambda window: window.panels["inspector"].field.zoom(1.25),
        "Show a narrower field in all views of the stamp", "Stamp", "", can_look_closer,
    ),
    Action(
        "stamp.farther", "Wider field", ("[",), lambda window: window.panels["inspector"].field.zoom(1 / 1.25),
        "Show a wider field in all views of the stamp", "Stamp", "", can_look_closer,
    ),
    Action(
        "stamp.ring", "Einstein ring", ("R",), lambda window: window.panels["inspector"].ring_button.toggle(),
        "Hide or show a ring to measure the Einstein radius with", "Stamp", "ring", can_look_closer,
    ),
    Action(
        "stamp.copy", "Copy the position", ("Ctrl+Shift+C",),
        lambda window: window.panels["inspector"].facts.copy_position(),
        "Copy right ascension and declination of the selected candidate", "Stamp", "copy", can_copy,
        separator=True,
    ),
)  # fmt: skip
