"""Runs cfn-lint with its serverless rules, and checkov, on the CloudFormation template that SAM makes of template.yaml.

An argument names another SAM template to lint.

cfn-lint accepts invalid properties in a SAM template, so the linters read the translated template. cfn-lint also reads
the resources of a stack with an existing events table.
Needs: pip install -r tests/template/requirements.txt
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

import sam

REGION = "eu-west-1"

# The skipped checks, each with its reason.
SKIPPED_BY_CFN_LINT = {
    "W2001": "An unused parameter: SAM puts the value of AllowedOrigin into the translated template.",
    "WS1004": "It finds log groups by the name of the function. Ours have no names; test_safety.py checks them.",
    "WS5000": "Tracing of the state machine: the function that it invokes is traced. A job of hours is too long for a"
    " trace.",
    "ES1001": "An on-failure destination of the mapping of CommandQueue: SQS has a redrive policy instead."
    " test_safety.py checks the destination of the stream's mapping.",
    "ES6000": "A dead-letter queue for FailedBatches, CommandDeadLetters and ProcessDeadLetters, which are themselves"
    " dead-letter queues.",
}
SKIPPED_BY_CHECKOV = {
    "CKV_AWS_27": "It requires a KMS key for the queue. SQS encrypts the queue with its own key, and the queue holds no"
    " customer data.",
    "CKV_AWS_115": "Reserved concurrency is taken from the account's other functions. The deployment fails where the"
    " quota is 10. The API is throttled, and the projector runs at most one invocation per shard.",
    "CKV_AWS_116": "A dead-letter queue serves asynchronous invocations. API Gateway waits for an answer, and the event"
    " source mapping has an on-failure queue.",
    "CKV_AWS_117": "The functions call only services of AWS, which are in no VPC. A VPC would cost money for NAT or"
    " endpoints, and start-up time. IAM controls the access.",
    "CKV_AWS_119": "A customer-managed key costs money per month and per call. If the key is lost, the events are lost."
    " AWS's key for DynamoDB encrypts the tables.",
    "CKV_AWS_158": "A KMS key for logs: the reasons of CKV_AWS_119. Logs are always encrypted, without personal data.",
    "CKV_AWS_173": "A KMS key for environment variables: the reasons of CKV_AWS_119. They hold table names and no"
    " secrets.",
}
SKIPPED_BY_CHECKOV_FOR_READ_TABLES = {
    "CKV_AWS_28": "It requires point-in-time recovery. A read table is rebuilt from the events and never restored.",
}


def cfn_lint(file: str) -> int:
    command = ["cfn-lint", "--regions", REGION, "--append-rules", "cfn_lint_serverless.rules"]
    return subprocess.run([*command, "--template", file, "--ignore-checks", *SKIPPED_BY_CFN_LINT]).returncode


def checkov(file: str) -> int:
    command = ["checkov", "--file", file, "--framework", "cloudformation", "--compact", "--quiet", "--skip-download"]
    return subprocess.run([*command, "--skip-check", ",".join(SKIPPED_BY_CHECKOV)]).returncode


def lint(linter: Callable[[str], int], template: dict) -> int:
    """Returns the exit code of a linter for a translated template."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(template, file, indent=1)
        file.flush()
        return linter(file.name)


def for_checkov(template: dict) -> dict:
    """Returns a translated template in which each read table skips the checks that apply to the events table only."""
    skipped = [{"id": check, "comment": why} for check, why in SKIPPED_BY_CHECKOV_FOR_READ_TABLES.items()]
    read_tables = {
        name: table | {"Metadata": {"checkov": {"skip": skipped}}}
        for name, table in template["Resources"].items()
        if table["Type"] == "AWS::DynamoDB::Table" and name != "EventsTable"
    }
    return template | {"Resources": template["Resources"] | read_tables}


def main(template: str) -> int:
    translated = sam.translate(pathlib.Path(template).read_text())
    existing = sam.resolve(translated, **sam.EXISTING_EVENTS)
    return max(lint(cfn_lint, translated), lint(cfn_lint, existing), lint(checkov, for_checkov(translated)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or [sam.ROOT / "template.yaml"]))
