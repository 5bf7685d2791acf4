"""Going through the keys of a storage, folder by folder. What is not there is empty; order is that of the names."""

from collections.abc import Callable, Iterator

from django.core.files.storage import Storage


def list_folder(storage: Storage, folder: str) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder (no slash at its end; "" is the top), both in order."""
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:  # a filesystem on which nothing was stored there yet
        return [], []
    return sorted(filter(None, folders)), sorted(filter(None, names))


def _everywhere(_folder: str) -> bool:
    return True


def walk(storage: Storage, folder: str = "", *, enter: Callable[[str], bool] = _everywhere) -> Iterator[str]:
    """Every key below a folder, those in folders first. A folder that `enter` refuses is not even listed."""
    folders, names = list_folder(storage, folder)
    inside = f"{folder}/" if folder else ""
    for path in (f"{inside}{name}" for name in folders):
        if enter(path):
            yield from walk(storage, path, enter=enter)
    yield from (f"{inside}{name}" for name in names)
