# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What to do about errors of the operating system that end a command."""
from __future__ import annotations

import errno

from depth_anyevent_ros.cli.writable import OUTPUTS

ELSEWHERE = 'name a place on another disk'
REMEDIES = {
    errno.ENOSPC: f'make room there, or {ELSEWHERE}',
    errno.EDQUOT: f'make room within your quota, or {ELSEWHERE}',
    errno.EFBIG: f'make less of it, or {ELSEWHERE}, whose files may be larger',
    errno.EROFS: ELSEWHERE,
    errno.EIO: f'the disk may be failing: {ELSEWHERE}',
    errno.EEXIST: 'name another, or take it away',
    errno.ENOTEMPTY: 'name another, or take it away',
    errno.EACCES: 'name a place of your own, or let its owner give you the right (ls -ld)',
    errno.EPERM: 'name a place of your own, or let its owner give you the right (ls -ld)',
    errno.ENOENT: 'look at how it is spelled, and whether its folder is there',
    errno.ENOTDIR: 'what lies above it has to be a folder: name another place',
    errno.EISDIR: 'name a file, not a folder',
    errno.EINVAL: 'name another',
    errno.ENAMETOOLONG: 'give it a shorter name',
    errno.EMFILE: 'let more files be open (ulimit -n 4096), and begin again',
    errno.ENOMEM: 'run it with less at a time, or end other programs',
}


def explain(error: Exception, arguments: object = None) -> str:
    """
    Return what an error says, with the path and a remedy where it is one of the system.

    arguments: of the command. Some errors of writing name no file; then its outputs are named.
    """
    if not isinstance(error, OSError):
        return str(error)
    if error.errno is None:  # in words of ours, of what the system said
        remedy = REMEDIES.get(getattr(error.__cause__, 'errno', None))
        return f'{error}: {remedy}.' if remedy else str(error)
    remedy = REMEDIES.get(error.errno)
    outputs = [getattr(arguments, name, None) for name in OUTPUTS]
    place = error.filename or ' or '.join(str(output) for output in outputs if output)
    said = f'{place}: {error.strerror}' if place else error.strerror
    return f'{said}: {remedy}.' if remedy else str(error)
