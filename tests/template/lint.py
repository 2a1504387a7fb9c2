"""Translates template.yaml as SAM does, offline, and lints what comes out.

cfn-lint passes nonsense in the source of a SAM template, so it is the translated one that has to be looked at.
Needs: pip install aws-sam-translator cfn-lint
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[2]
REGION = "eu-west-1"


class NoManagedPolicies:
    """The template names no managed policies: there are none to be looked up."""

    def load(self):
        return {}


def translated() -> dict:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    # SAM uploads the code before it translates.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/function.zip"
    return transform(template, {}, NoManagedPolicies())


def main() -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(translated(), file)
        file.flush()
        # W2001, a parameter that is not used: SAM itself puts the value of AllowedOrigin in its place.
        lint = ["cfn-lint", "--regions", REGION, "--ignore-checks", "W2001", "--template", file.name]
        return subprocess.run(lint).returncode


if __name__ == "__main__":
    sys.exit(main())
