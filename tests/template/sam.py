"""What SAM makes of template.yaml: the CloudFormation template that is deployed, offline. Run, it prints it."""

import functools
import json
import logging
import os
import pathlib

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")  # SAM asks for one, whatever it does.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)  # It misses a place to send its statistics to.

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = (ROOT / "template.yaml").read_text()


class NoManagedPolicies:
    """The template names no managed policies: there are none to be looked up."""

    def load(self):
        return {}


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
    """The properties of all resources of a type, such as AWS::IAM::Role, by logical id."""
    every = translated()["Resources"].items()
    return {name: resource["Properties"] for name, resource in every if resource["Type"] == kind}


def text(value) -> str:
    """A reference as it would stand in a !Sub, without braces: Name, Name.Attribute, ${Name.Attribute}/rest."""
    match value:
        case {"Ref": name} | {"Fn::Sub": str(name)}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case _:
            return value


if __name__ == "__main__":
    print(json.dumps(translated()))
