"""Warm kernels: a notebook's kernel as a fork of a process that has the lessons' libraries imported.

    warm process ── imports ipykernel, torch, the course ... ── waits
                         └─ fork ── kernel of a notebook
                         └─ fork ── kernel of another

`course lab` makes this package an extension of its Jupyter server (course/jupyter). Loaded, it starts the warm process,
which imports while JupyterLab itself starts, and makes :class:`~course.kernels.provisioner.WarmProvisioner` the way in
which the server starts kernels. Where one cannot be forked it is started as ever, and the server's log says why, once.
`COURSE_WARM=0` switches it off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

PROVISIONER = "course-warm"  # its entry point, in the group jupyter_client.kernel_provisioners
SWITCH = "COURSE_WARM"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    if os.environ.get(SWITCH) == "0":
        return
    from jupyter_client.provisioning import KernelProvisionerFactory

    from course.kernels.provisioner import Unavailable, warm_process

    factory = KernelProvisionerFactory.instance(parent=server)
    try:
        if PROVISIONER not in factory.provisioners:
            raise Unavailable("this installation of the course does not have them; install it again to get them")
        warm_process()
    except Unavailable as reason:
        server.log.info(f"Kernels start cold: {reason}.")
    else:
        if factory.default_provisioner_name == "local-provisioner":  # and nobody asked for another
            factory.default_provisioner_name = PROVISIONER
