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

NO_VALUE = {"Ref": "AWS::NoValue"}
# Parameters of a stack whose events are in a restored table.
EXISTING_EVENTS = {
    "ExistingEventsTable": "restored",
    "ExistingEventsStreamArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/restored/stream/2026-11-22T09:00:00.000",
}

# The tables with the positions of the publisher. A restore keeps them.
POSITIONS = {"OrderPublicationTable", "ShippingRemindersTable"}


class NoManagedPolicies:
    """A policy loader without policies. The template names no managed policy."""

    def load(self):
        return {}


def source() -> dict:
    """Returns template.yaml before the translation, resolved for the defaults of its parameters."""
    return resolve(yaml_parse(SOURCE))


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


def resolve(template: dict, **parameters: str) -> dict:
    """Returns a template with the resources and branches that CloudFormation chooses for these parameters.

    The values become the defaults of the parameters. Other parameters keep their defaults. References stay.
    """
    declared = {
        name: parameter | ({"Default": parameters[name]} if name in parameters else {})
        for name, parameter in template["Parameters"].items()
    }
    values = {name: parameter.get("Default") for name, parameter in declared.items()}
    holds = {name: evaluate(condition, template, values) for name, condition in template["Conditions"].items()}

    def chosen(value):
        match value:
            case {"Fn::If": [condition, then, otherwise]}:
                return chosen(then if holds[condition] else otherwise)
            case dict():
                entries = {key: chosen(entry) for key, entry in value.items()}
                return {key: entry for key, entry in entries.items() if entry != NO_VALUE}
            case list():
                return [entry for entry in map(chosen, value) if entry != NO_VALUE]
            case _:
                return value

    resources = {
        name: {key: entry for key, entry in resource.items() if key != "Condition"}
        for name, resource in template["Resources"].items()
        if holds.get(resource.get("Condition"), True)
    }
    sections = {key: section for key, section in template.items() if key != "Conditions"}
    return chosen(sections | {"Parameters": declared, "Resources": resources})


def evaluate(condition: dict, template: dict, values: dict):
    """Returns the value of a condition, or of an operand in it."""
    match condition:
        case {"Ref": name}:
            return values[name]
        case {"Condition": name}:
            return evaluate(template["Conditions"][name], template, values)
        case {"Fn::Equals": [left, right]}:
            return evaluate(left, template, values) == evaluate(right, template, values)
        case {"Fn::Not": [negated]}:
            return not evaluate(negated, template, values)
        case {"Fn::And": conditions}:
            return all(evaluate(each, template, values) for each in conditions)
        case {"Fn::Or": conditions}:
            return any(evaluate(each, template, values) for each in conditions)
        case str():
            return condition
        case _:
            raise ValueError(f"unsupported in a condition: {condition}")


@functools.cache
def resolved(source: str, **parameters: str) -> dict:
    return resolve(translate(source), **parameters)


def resources(kind: str, **parameters: str) -> dict[str, dict]:
    """Returns the properties of all resources of a type, such as AWS::IAM::Role, by logical id.

    Parameters that are not given have their defaults.
    """
    every = resolved(SOURCE, **parameters)["Resources"].items()
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
