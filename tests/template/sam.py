"""Translates template.yaml with SAM, offline, into the CloudFormation template that is deployed.

`python3 tests/template/sam.py` prints the translated template.
"""

import functools
import json
import logging
import os
import pathlib

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")  # SAM requires a region and does not use it.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)  # SAM warns that it cannot send its statistics.

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = (ROOT / "template.yaml").read_text()


class NoManagedPolicies:
    """A policy loader without policies. The template names no managed policy."""

    def load(self):
        return {}


def source() -> dict:
    """Returns template.yaml before the translation."""
    return yaml_parse(SOURCE)


@functools.cache
def translate(source: str) -> dict:
    template = yaml_parse(source)
    # SAM uploads the code before it translates.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/function.zip"
    return transform(template, {}, NoManagedPolicies())


def translated() -> dict:
    return translate(SOURCE)


def resources(kind: str) -> dict[str, dict]:
    """Returns the properties of all resources of a type, such as AWS::IAM::Role, by logical id."""
    every = translated()["Resources"].items()
    return {name: resource["Properties"] for name, resource in every if resource["Type"] == kind}


def text(value) -> str:
    """Returns a reference as text: Name for a Ref, Name.Attribute for a GetAtt, the string of a Sub unchanged."""
    match value:
        case {"Ref": name} | {"Fn::Sub": str(name)}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case _:
            return value


if __name__ == "__main__":
    print(json.dumps(translated()))
