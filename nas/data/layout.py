"""Layout of a folder of images: folders that are classes, and folders that are parts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.config.data import CUT, DataSpec
from nas.data.errors import DataError
from nas.data.picture_files import (
    LeftOut,
    counted,
    entries_of,
    is_folder,
    is_hidden,
    is_hidden_folder,
    is_picture,
    listed,
    pictures,
)

HERE = "."
"""Name of a training part whose classes lie in the folder itself, whatever they are called."""
TRAIN, VALIDATION, TEST = "train", "validation", "test"
PART_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout"), TEST),
}
_KIND = r"(?:set|images?|imgs?|data|dataset|split|seg|pictures|photos|folder)"
_PART = re.compile(
    rf"(?:{_KIND}[\W_]*)*({'|'.join(sorted(PART_WORDS, key=len, reverse=True))})(?:[\W_]*(?:{_KIND}|\d+))*"
)


@dataclass(frozen=True)
class ClassFiles:
    """Image files of one class in one part; listed at every request, as a set may have millions."""

    name: str
    folder: Path

    def files(self, left_out: LeftOut | None = None) -> list[str]:
        """Return the images below the folder, without hidden ones, in an order that is the same on every machine.

        Args:
            left_out: counts what else lies there.
        """
        found = pictures(self.folder, LeftOut() if left_out is None else left_out)
        return sorted(found, key=lambda file: file.split(os.sep))

    def has_images(self) -> bool:
        """Return whether there is an image."""
        return next(pictures(self.folder, LeftOut()), None) is not None


@dataclass(frozen=True)
class FolderParts:
    """Image files of a folder by class, and those of its test part if it has one.

    Attributes:
        train: classes of the training part.
        test: classes of the test part.
        beside: folders that lie beside the classes, whose own files are left out.
        notes: lines on parts that are not read.
    """

    train: tuple[ClassFiles, ...]
    test: tuple[ClassFiles, ...] | None
    beside: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def left_out(self) -> tuple[str, ...]:
        """Return a line for each kind of what is not read; lists all folders."""
        count, loose = LeftOut(), 0
        for folder in self.beside:
            for entry in entries_of(folder):
                if is_folder(entry):
                    is_hidden_folder(entry, count)
                else:
                    loose += is_picture(entry, count)
        for of_class in (*self.train, *(self.test or ())):
            of_class.files(count)
        outside = (f"{counted(loose, 'picture')} beside the class folders",) if loose else ()
        return (*self.notes, *outside, *count.lines())


def part_of(name: str) -> str | None:
    """Return the part that the name of a folder or file stands for, None for any other name.

    >>> part_of("Training"), part_of("valid"), part_of("seg_test"), part_of("test_set2"), part_of("train_station")
    ('train', 'validation', 'test', 'test', None)
    """
    found = _PART.fullmatch(name.lower())
    return PART_WORDS[found[1]] if found else None


def image_folder_files(spec: DataSpec, root: Path) -> FolderParts:
    """Find the images in `root`: one subfolder a class, or such subfolders in a training and perhaps a test folder.

    Names of parts are recognised, `Training` and `test_set` as well as `train` and `test`. The settings
    `data.train_split` and `data.test_split` name them otherwise; the training part `.` is the folder itself.

    Raises:
        DataError: no class folder, no image, a test class without training images, or folders that may be parts as
            well as classes.
    """
    if not root.is_dir():
        raise DataError(f"data.path must be a folder with one subfolder a class, got the file {root}")
    folders = _subfolders(root)
    train, test, note = _parts(spec, root, folders)
    if train == root:
        classes = tuple(ClassFiles(folder.name, folder) for folder in folders if folder != test)
        return FolderParts(_with_images(root, classes), _test(test, classes), (root,), note)
    classes = _with_images(train, _classes(train))
    others = [folder.name for folder in folders if folder not in {train, test}]
    if others:
        note = (*note, f"folders beside {train.name} ({listed(others)}): data.test_split=NAME tests on one")
    beside = tuple(folder for folder in (root, train, test) if folder is not None)
    return FolderParts(classes, _test(test, classes), beside, note)


def _parts(spec: DataSpec, root: Path, folders: Sequence[Path]) -> tuple[Path, Path | None, tuple[str, ...]]:
    """Return the folders of the training and of the test part, and notes on what is not read."""
    named = _named_test(spec, root)
    train = _training_folder(spec, root, folders)
    if train == root and spec.train_split != HERE:
        _check_not_parts(root, folders, named)
    if train == root or spec.test_split is not None:
        return train, named, ()
    return (train, *_found_test(root, folders))


def _named_test(spec: DataSpec, root: Path) -> Path | None:
    if spec.test_split in {None, CUT}:
        return None
    named = root / str(spec.test_split)
    if not named.is_dir():
        raise DataError(f"data.test_split must name a folder in {root}, there is no {spec.test_split!r}")
    return named


def _training_folder(spec: DataSpec, root: Path, folders: Sequence[Path]) -> Path:
    """Return the named folder, or the only one with classes inside that stands for the training part, else `root`."""
    named = root / spec.train_split
    if spec.train_split != DataSpec.train_split and not named.is_dir():
        raise DataError(f"data.train_split must name a folder in {root}, there is no {spec.train_split!r}")
    if spec.train_split != DataSpec.train_split or _subfolders(named):
        return named
    found = [folder for folder in folders if part_of(folder.name) == TRAIN and _subfolders(folder)]
    if len(found) > 1:
        raise DataError(f"one folder must be the training part, {root} has {_names(found)}: set data.train_split=NAME")
    return found[0] if found else root


def _found_test(root: Path, folders: Sequence[Path]) -> tuple[Path | None, tuple[str, ...]]:
    """Return the folder that stands for the test part, and a note if it has no labels."""
    found = [folder for folder in folders if part_of(folder.name) == TEST]
    labelled = [folder for folder in found if _subfolders(folder)]
    if len(labelled) > 1:
        exact = [folder for folder in labelled if folder.name == TEST]
        if not exact:
            raise DataError(
                f"one folder must be the test part, {root} has {_names(labelled)}: set data.test_split=NAME, "
                f"or data.test_split={CUT} to cut one off the training part"
            )
        labelled = exact
    if labelled or not found:
        return (labelled[0] if labelled else None), ()
    note = f"the folder {_names(found)}, which holds no class folders and so no labels; a test part is cut off instead"
    return None, (note,)


def _check_not_parts(root: Path, folders: Sequence[Path], named: Path | None) -> None:
    """Raise if folders that would be taken for classes look like parts; `train` may be a class among others."""
    parts = [folder for folder in folders if part_of(folder.name) is not None and folder != named]
    classes = [folder for folder in folders if folder not in parts and folder != named]
    if parts and not classes and any(_subfolders(folder) for folder in parts):
        raise DataError(f"one folder must be the training part, {root} has {_names(parts)}: set data.train_split=NAME")
    if parts and not classes:
        raise DataError(
            f"classes must be folders, {_names(parts)} in {root} look like parts and hold no class folders: put each "
            f"class of the training part in a folder of its own, such as {parts[0].name}/CLASS/1.jpg"
            f"{_if_classes(parts)}"
        )
    doubtful = [folder for folder in parts if part_of(folder.name) != TRAIN or len(parts) > 1]
    if doubtful:
        raise DataError(
            f"classes must be told from parts, {_names(doubtful)} in {root} looks like a part among {len(classes)} "
            f"classes: move it elsewhere, set data.train_split={HERE} if it is a class, or besides "
            f"data.test_split={doubtful[0].name} to test on the class folders within"
        )
    _check_no_parts_within(root, classes)


def _check_no_parts_within(root: Path, classes: Sequence[Path]) -> None:
    for folder in classes:
        parts = [inner for inner in _subfolders(folder) if part_of(inner.name)]
        if len({part_of(inner.name) for inner in parts}) > 1:
            raise DataError(
                f"parts must not lie within classes, {folder.name} in {root} holds {_names(parts)}: move them to "
                f"{parts[0].name}/{folder.name} and so on, or set data.train_split={HERE} to take all for one part"
            )


def _if_classes(parts: Sequence[Path]) -> str:
    return f", or set data.train_split={HERE} if these are classes" if len(parts) > 1 else ""


def _names(folders: Sequence[Path]) -> str:
    return " and ".join(folder.name for folder in folders)


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    names = sorted(e.name for e in entries_of(folder) if is_folder(e) and not is_hidden(e.name, folder=True))
    return [folder / name for name in names]


def _classes(root: Path) -> tuple[ClassFiles, ...]:
    return tuple(ClassFiles(folder.name, folder) for folder in _subfolders(root))


def _with_images(root: Path, found: tuple[ClassFiles, ...]) -> tuple[ClassFiles, ...]:
    """Return the classes.

    Raises:
        DataError: there is none, or none has an image.
    """
    if not found:
        raise DataError(f"an image folder must hold one subfolder a class, found none in {root}")
    if not any(c.has_images() for c in found):
        count = LeftOut()
        for of_class in found:
            of_class.files(count)
        raise DataError(
            f"an image folder must hold images that Pillow reads (.jpg .png .webp ...), found none in {root}"
            + "".join(f"; left out: {line}" for line in count.lines())
        )
    return found


def _test(root: Path | None, train: tuple[ClassFiles, ...]) -> tuple[ClassFiles, ...] | None:
    if root is None:
        return None
    test = _with_images(root, _classes(root))
    unknown = sorted({c.name for c in test} - {c.name for c in train})
    if unknown:
        raise DataError(
            f"every class of the test part must be trained on, {train[0].folder.parent} lacks {listed(unknown)}: "
            f"remove them from {root}, or set data.test_split={CUT} to cut a test part off the training part"
        )
    return test
