"""Validates the JSON Schemas of the public events, their samples, and the messages of asyncapi.json."""

import copy
import json
import pathlib

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = pathlib.Path(__file__).parents[2]


def read(path):
    return json.loads(path.read_text())


def validator(schema, registry=Registry()):
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())


def refuses(checked, document, change):
    changed = copy.deepcopy(document)
    change(changed)
    return not checked.is_valid(changed)


def check_schema(path):
    """Returns the sample of a schema, after both are validated."""
    schema = read(path)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"], path
    assert schema["$id"].endswith("/" + path.name), path
    samples = list(ROOT.glob(f"shared/*/public/{path.name}"))
    assert len(samples) == 1, f"{path.name} has the samples {samples}"
    sample = read(samples[0])
    assert sample["dataschema"] == schema["$id"], path
    checked = validator(schema)
    checked.validate(sample["data"])
    # A schema that refuses nothing says nothing.
    for name in schema["required"]:
        assert refuses(checked, sample["data"], lambda data: data.pop(name)), f"{path.name} admits data without {name}"
    for name in schema["properties"]:
        assert refuses(checked, sample["data"], lambda data: data.update({name: []})), f"{path.name}: {name}"
    for name, value in sample["data"].items():
        if schema["properties"][name].get("format") == "date-time":
            not_a_time = refuses(checked, sample["data"], lambda data: data.update({name: "yesterday"}))
            assert not_a_time, f"{path.name}: {name}"
    assert not refuses(checked, sample["data"], lambda data: data.update(added_later=1)), f"{path.name} is closed"
    return sample


def check_message(document, name, samples):
    registry = Registry().with_resource("urn:asyncapi", DRAFT202012.create_resource(document))
    checked = validator({"$ref": f"urn:asyncapi#/components/messages/{name}/payload"}, registry)
    examples = [example["payload"] for example in document["components"]["messages"][name]["examples"]]
    assert examples and all(example in samples for example in examples), f"the examples of {name} are no samples"
    for example in examples:
        checked.validate(example)
        assert refuses(checked, example, lambda event: event.update(type="other")), name
        assert refuses(checked, example, lambda event: event.pop("sequence")), name
        assert refuses(checked, example, lambda event: event["data"].clear()), name


schemas = sorted(ROOT.glob("schemas/*.json"))
samples = [check_schema(path) for path in schemas]
document = read(ROOT / "asyncapi.json")
messages = document["components"]["messages"]
for name in messages:
    check_message(document, name, samples)
print(f"{len(schemas)} schemas, {len(samples)} samples and {len(messages)} messages are valid")
