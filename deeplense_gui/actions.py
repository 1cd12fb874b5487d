"""Every command once: menus, toolbar, context menus, the shortcut sheet and the tests read this table.

Those that a project's scheme makes stand in ``grading_actions``, those about one stamp in ``stamp_actions``, those to
and from other programs in ``interop_actions``.
A verb takes the main window; what belongs to the state goes straight on to its ``session``.
"""

from __future__ import annotations

from deeplense_gui.grading_actions import Action, can_grade
from deeplense_gui.interop_actions import INTEROP
from deeplense_gui.session import Session
from deeplense_gui.stamp_actions import STAMP, can_look_closer


def _has_mosaic(session: Session) -> bool:
    return session.mosaic is not None


def _has_bands(session: Session) -> bool:
    return session.mosaic is not None and len(session.mosaic.bands) > 1


def _has_sky(session: Session) -> bool:
    return session.mosaic is not None and session.mosaic.wcs is not None


def _has_project(session: Session) -> bool:
    return session.project is not None


def _has_mosaic_and_project(session: Session) -> bool:
    return session.mosaic is not None and session.project is not None


def _has_candidates(session: Session) -> bool:
    return not session.listing.empty


def _can_write(session: Session) -> bool:
    return not session.read_only


def _can_undo(session: Session) -> bool:
    return session.history()[0] is not None


def _can_redo(session: Session) -> bool:
    return session.history()[1] is not None


ACTIONS: tuple[Action, ...] = (
    Action(
        "file.open", "Open mosaic…", ("Ctrl+O",), lambda window: window.ask_mosaic(),
        "Open a survey mosaic: FITS or HDF5, one file or one a band", "File", "open", toolbar=True,
    ),
    Action(
        "file.stamps", "Open folder of stamps…", ("Ctrl+D",), lambda window: window.ask_stamps(),
        "Vet stamps without a mosaic: FITS, HDF5, .npy, PNG or JPEG, one object at the centre of each", "File",
        "gallery",
    ),
    Action(
        "file.open_project", "Open project…", ("Ctrl+Shift+O",), lambda window: window.ask_project(),
        "Open a project and go on where you were", "File", "project",
    ),
    Action(
        "file.shared", "Open shared project…", (), lambda window: window.ask_shared(),
        "Open the project of a team on a PostgreSQL server, or make one there", "File", "project",
    ),
    Action(
        "file.new_project", "New project…", ("Ctrl+Shift+N",), lambda window: window.ask_new_project(),
        "Start an empty project file", "File",
    ),
    Action(
        "file.save_as", "Save project as…", ("Ctrl+Shift+S",), lambda window: window.ask_save_as(),
        "Copy the project to another file and go on there; every grade is saved already", "File",
        enabled=_has_project,
    ),
    Action(
        "file.share", "Share on a server…", (), lambda window: window.ask_share(),
        "Copy the project to a PostgreSQL server, whole, for a team to grade together; the file stays as it is", "File",
        enabled=lambda session: session.project is not None and not session.project.shared,
    ),
    Action(
        "file.merge", "Merge projects…", ("Ctrl+M",), lambda window: window.ask_merge(),
        "Take up what others say of the same sky: all their grades beside yours, nothing lost", "File", "",
        _can_write, separator=True,
    ),
    Action(
        "file.import", "Import grades…", (), lambda window: window.ask_import(),
        "Take up grades and comments from a CSV of another tool, as yours", "File", "", _can_write,
    ),
    Action(
        "file.known", "Match with known objects…", (), lambda window: window.ask_crossmatch(),
        "Say which candidates are in a catalogue of known lenses, with reference and grading", "File", "", _can_write,
    ),
    Action(
        "file.export", "Export catalogue…", ("Ctrl+E",), lambda window: window.ask_export(),
        "Write the candidates as table, DS9 regions, report, stamps, training set, or the journal", "File", "export",
        enabled=_has_candidates, toolbar=True, separator=True,
    ),
    Action(
        "file.demo", "Open the demo", (), lambda window: window.session.open_demo(),
        "Make a simulated survey field with known lenses, open it and scan it", "File", "demo", separator=True,
    ),
    Action(
        "file.preferences", "Preferences…", ("Ctrl+,",), lambda window: window.ask_preferences(),
        "The name your grades are signed with, and the look of the window", "File",
    ),
    Action(
        "file.quit", "Quit", ("Ctrl+Q",), lambda window: window.close(),
        "Close the window; everything is saved already", "File", separator=True,
    ),
    Action(
        "edit.undo", "Undo", ("Ctrl+Z",), lambda window: window.session.undo(),
        "Take the last grade or note back", "Edit", "undo", _can_undo, toolbar=True,
    ),
    Action(
        "edit.redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), lambda window: window.session.redo(),
        "Do again what was undone", "Edit", "redo", _can_redo, toolbar=True,
    ),
    Action(
        "edit.find", "Filter by text", ("Ctrl+F", "/"), lambda window: window.focus_filter(),
        "Show only the candidates whose name or note holds a text", "Edit", "filter", _has_project, separator=True,
    ),
    Action(
        "list.limits", "Limits of columns…", ("Ctrl+Shift+F",), lambda window: window.ask_limits(),
        "Show only candidates whose numbers lie between limits", "Edit", "", _has_project,
    ),
    Action(
        "list.in_view", "Only what is in view", ("Ctrl+Shift+W",), lambda window: window.show_in_view(),
        "Show only the candidates that are in view on the mosaic now", "Edit", "", _has_mosaic_and_project,
    ),
    Action(
        "list.save", "Save the filter…", (), lambda window: window.ask_filter_name(),
        "Keep filter and order by a name, with the project", "Edit", "",
        lambda session: session.project is not None and not session.read_only,
    ),
    Action(
        "list.clear", "Clear all filters", ("Ctrl+Shift+X",), lambda window: window.session.clear_filters(),
        "Show all candidates again; the order stays", "Edit", "", lambda session: session.filters.narrow,
    ),
    Action(
        "scan.start", "Scan", ("F5", "Ctrl+R"), lambda window: window.session.scan(),
        "Find and score every source of the mosaic; the best candidates come first", "Scan", "scan",
        lambda session: session.can_scan, toolbar=True,
    ),
    Action(
        "scan.stop", "Stop the scan", ("Ctrl+.",), lambda window: window.session.stop_scan(),
        "Stop the scan; what it found so far stays", "Scan", "stop", lambda session: session.scan_job is not None,
        toolbar=True,
    ),
    Action(
        "scan.rescore", "Score again", ("Shift+F5",), lambda window: window.session.rescore(),
        "Score the candidates of this mosaic with the model in use; grades stay, the order is new", "Scan", "",
        lambda session: session.can_rescore, separator=True,
    ),
    Action(
        "scan.model", "Model and fine-tuning…", ("F6",), lambda window: window.show_model(),
        "Choose the model that scores, or teach it your grades", "Scan", "",
    ),
    Action(
        "scan.scale", "Pixel scale…", (), lambda window: window.ask_pixel_scale(),
        "Type the pixel scale of a mosaic that does not state it", "Scan", "", _has_mosaic, separator=True,
    ),
    Action(
        "image.chooser", "Choose image in file…", (), lambda window: window.ask_image(),
        "Show another HDU or dataset of the open file", "Scan", "", _has_mosaic,
    ),
    Action(
        "scan.bands", "Names of the bands…", (), lambda window: window.ask_band_names(),
        "Name the bands of a mosaic that does not name them: models and colours go by their names", "Scan", "",
        lambda session: session.mosaic is not None and session.mosaic.id not in session.sheets,
    ),
    Action(
        "grade.clear", "Take the grade back", ("U", "Backspace"), lambda window: window.session.grade(None),
        "Take the grade of the selected candidate back", "Grade", "", can_grade, separator=True,
    ),
    Action(
        "grade.note", "Write a note", ("N",), lambda window: window.focus_note(),
        "Write a note to the selected candidate; Enter keeps it", "Grade", "note", can_grade,
    ),
    Action(
        "grade.flag", "Flag", ("Shift+F",), lambda window: window.session.toggle_flag(),
        "Flag the selected candidate for others to see, or take the flag down", "Grade", "", can_grade,
    ),
    Action(
        "grade.come_back", "Come back to it", ("Shift+B",), lambda window: window.session.toggle_come_back(),
        "Keep the selected candidate in the queue of those to come back to", "Grade", "", can_grade,
    ),
    Action(
        "grade.blind", "Blind", ("Ctrl+Shift+B",), lambda window: window.session.set_blind(not window.session.blind),
        "No score, name, position or other people's grades until you have graded; the list is shuffled", "Grade",
        "overlays-off", _has_project, separator=True,
    ),
    Action(
        "grade.calibrate", "Calibration and controls…", (), lambda window: window.ask_calibration(),
        "Choose what is mixed into the blind queue: a cut of score, random controls, stamps of known truth",
        "Grade", "", _can_write,
    ),
    Action(
        "grade.report", "How graders do…", (), lambda window: window.show_graders(),
        "Completeness, false positives and self-consistency of each grader on the calibration stamps", "Grade", "",
        _has_project,
    ),
    Action(
        "grade.resolve", "Resolve a disagreement…", ("Ctrl+Shift+R",), lambda window: window.show_resolve(),
        "See all grades of a candidate side by side, and write down what the team agrees on", "Grade", "",
        _has_candidates,
    ),
    Action(
        "grade.scheme", "Scheme…", (), lambda window: window.ask_scheme(),
        "Choose grades and kinds, what they are called, and their keys", "Grade", "", _can_write,
    ),
    Action(
        "go.next", "Next candidate", ("Right", "Space"), lambda window: window.session.step_selection(1),
        "Go one down in the list", "Grade", "next", _has_candidates, separator=True,
    ),
    Action(
        "go.previous", "Previous candidate", ("Left", "Shift+Space"), lambda window: window.session.step_selection(-1),
        "Go one up in the list", "Grade", "previous", _has_candidates,
    ),
    Action(
        "go.ungraded", "Next without a grade", ("G",), lambda window: window.session.next_ungraded(),
        "Go to the next candidate that has no grade yet", "Grade", "", _has_candidates,
    ),
    *STAMP,
    Action(
        "mosaic.go_to", "Go to…", ("Ctrl+G", "Ctrl+L"), lambda window: window.panels["mosaic"].goto.open(),
        "Type a position (RA Dec, l b, px x y) or a candidate, and go there", "Mosaic", "goto", _has_mosaic,
    ),
    Action(
        "view.fit", "Whole mosaic", ("F",), lambda window: window.panels["mosaic"].canvas.fit(),
        "Show the whole mosaic", "Mosaic", "fit", _has_mosaic, separator=True,
    ),
    Action(
        "view.actual_size", "Pixel by pixel", ("Ctrl+1",),
        lambda window: window.panels["mosaic"].canvas.actual_size(),
        "One pixel of the mosaic on one of the screen", "Mosaic", "actual-size", _has_mosaic,
    ),
    Action(
        "view.centre", "Centre on the candidate", ("Z",),
        lambda window: window.panels["mosaic"].canvas.centre_on_selection(),
        "Go to the selected candidate on the mosaic", "Mosaic", "centre", can_look_closer,
    ),
    Action(
        "view.zoom_in", "Closer", ("+", "="), lambda window: window.panels["mosaic"].canvas.zoom_by(1.5),
        "Zoom into the mosaic", "Mosaic", "zoom-in", _has_mosaic,
    ),
    Action(
        "view.zoom_out", "Farther", ("-",), lambda window: window.panels["mosaic"].canvas.zoom_by(1 / 1.5),
        "Zoom out of the mosaic", "Mosaic", "zoom-out", _has_mosaic,
    ),
    Action(
        "mosaic.next_band", "Next band", (".",), lambda window: window.panels["mosaic"].step_band(1),
        "Show the next band of the mosaic; colour is one of them", "Mosaic", "", _has_bands, separator=True,
    ),
    Action(
        "mosaic.previous_band", "Previous band", (",",), lambda window: window.panels["mosaic"].step_band(-1),
        "Show the band before", "Mosaic", "", _has_bands,
    ),
    Action(
        "mosaic.blink", "Blink the bands", ("Ctrl+B",), lambda window: window.panels["mosaic"].toggle_blinking(),
        "Show one band after the other, or stop that", "Mosaic", "", _has_bands,
    ),
    Action(
        "mosaic.measure", "Measure", ("M",), lambda window: window.panels["mosaic"].ruler_button.toggle(),
        "Drag a line to measure distance and position angle; Escape ends it", "Mosaic", "ruler", _has_mosaic,
        separator=True,
    ),
    Action(
        "mosaic.grid", "Coordinate grid", ("Shift+G",),
        lambda window: window.panels["mosaic"].overlays.toggle_layer("grid"),
        "Hide or show lines of equal right ascension and declination", "Mosaic", "", _has_sky,
    ),
    Action(
        "mosaic.contours", "Contours", ("Shift+C",),
        lambda window: window.panels["mosaic"].overlays.toggle_layer("contours"),
        "Hide or show curves of equal brightness; the band is chosen under Overlays", "Mosaic", "", _has_mosaic,
    ),
    Action(
        "mosaic.regions", "Load regions…", (), lambda window: window.panels["mosaic"].ask_regions(),
        "Draw the shapes of a DS9 region file over the mosaic", "Mosaic", "", _has_mosaic,
    ),
    Action(
        "mosaic.known", "Load known objects…", (), lambda window: window.panels["mosaic"].ask_known(),
        "Draw the objects of a catalogue over the mosaic: CSV, FITS or VOTable with RA and Dec", "Mosaic", "",
        _has_sky,
    ),
    Action(
        "mosaic.picture", "Save the view as PNG…", ("Ctrl+Shift+P",),
        lambda window: window.panels["mosaic"].ask_picture(),
        "Save what is seen, with its overlays, and its WCS in a file beside it", "Mosaic", "", _has_mosaic,
        separator=True,
    ),
    Action(
        "mosaic.cutout", "Save the view as FITS…", (), lambda window: window.panels["mosaic"].ask_cutout(),
        "Cut what is in view out of the mosaic, all bands, with its WCS", "Mosaic", "", _has_mosaic,
    ),
    *INTEROP,
    Action(
        "view.overlays", "Hide or show overlays", ("H",), lambda window: window.session.toggle_overlays(),
        "Hide circles, labels and saliency to see the pixels alone", "View", "overlays", _has_mosaic, toolbar=True,
    ),
    Action(
        "view.gallery", "Table or gallery", ("Ctrl+T",), lambda window: window.swap_list(),
        "Show the candidates as stamps, or as a table", "View", "gallery", _has_project, toolbar=True, separator=True,
    ),
    Action(
        "view.list", "Large list", ("Ctrl+Shift+T",), lambda window: window.spread_list(),
        "Give the table or the gallery the place of the mosaic too, or give it back", "View", "", _has_project,
    ),
    Action(
        "view.statistics", "Statistics", ("Ctrl+Shift+H",), lambda window: window.show_statistics(),
        "Plot grades against score, grades an hour and counts of kinds, while you grade", "View", "", _has_project,
    ),
    Action(
        "view.duplicates", "Duplicates…", (), lambda window: window.show_duplicates(),
        "Go through candidates that lie so close together that they may be one object", "View", "",
        lambda session: session.project is not None and not session.blind,
    ),
    Action(
        "view.full_screen", "Full screen", ("F11",), lambda window: window.toggle_full_screen(),
        "Give the whole screen to the window", "View",
    ),
    Action(
        "view.layout", "Reset the layout", (), lambda window: window.reset_layout(),
        "Put every panel back to where it was at first", "View",
    ),
    Action(
        "help.shortcuts", "Keyboard shortcuts", ("F1", "?"), lambda window: window.show_shortcuts(),
        "All commands and their keys", "Help", "help",
    ),
    Action(
        "help.about", "About DeepLense", (), lambda window: window.show_about(),
        "Version, licence and the model in use", "Help",
    ),
)  # fmt: skip
MENUS = ("File", "Edit", "Scan", "Grade", "Kind", "Stamp", "Mosaic", "Interop", "View", "Help")
TAKEN = {key: action.text.rstrip("…") for action in ACTIONS for key in action.keys}
"""Keys that the grades and kinds of a scheme cannot have, and what they do."""
