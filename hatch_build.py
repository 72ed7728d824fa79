"""What a wheel carries: everything, or with ``COURSE_EDITION=class`` all but `source/`, where the solutions are."""

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Edition(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get("COURSE_EDITION") == "class":
            carried = self.build_config.target_config["only-include"]
            self.build_config.target_config["only-include"] = [name for name in carried if name != "source"]
