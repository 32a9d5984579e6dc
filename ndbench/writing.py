"""Whether a file can be written, asked before the work whose results it is for."""

from pathlib import Path


def obstacle_to(path: Path) -> str:
    """What keeps a file from being written, empty if nothing does; better known before minutes of work than after.

    The folder is made. The file keeps its content, and one that was not there is not there afterwards.

    Args:
        path: of the file.

    Example:
        >>> obstacle_to(Path("/dev/null")), obstacle_to(Path("/dev"))
        ('', 'Is a directory')
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        path.open("a").close()
        if not existed:
            # of a link to nothing, the file and not the link
            path.resolve().unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""
