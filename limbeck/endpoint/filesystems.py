"""Whether a file lies on a disk of this machine or on one that machines share."""

from pathlib import Path

import psutil

# SQLite's write-ahead log needs memory that all who have the file open share, which these do not give.
_SHARED = (
    "nfs", "cifs", "smb", "afs", "9p", "lustre", "gpfs", "beegfs", "ceph", "gluster", "orangefs", "pvfs",
    "wekafs", "vastfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.juicefs",
    "fuse.glusterfs",
)  # fmt: skip


def shared_filesystem(path: Path) -> str | None:
    """The name of the network file system that a path lies on; None where it is a disk of this machine."""
    place = path.resolve()
    mounts = {Path(found.mountpoint): found.fstype for found in psutil.disk_partitions(all=True)}
    for folder in (place, *place.parents):
        if folder in mounts:
            kind = mounts[folder].lower()
            return kind if kind.startswith(_SHARED) else None
    return None
