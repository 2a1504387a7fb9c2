"""Runs cfn-lint with its serverless rules, and checkov, on the CloudFormation template that SAM makes of template.yaml.

An argument names another SAM template to lint.

cfn-lint accepts invalid properties in a SAM template, so the linters read the translated template.
Needs: pip install -r tests/template/requirements.txt
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import sam

REGION = "eu-west-1"

# The skipped checks, each with its reason.
SKIPPED_BY_CFN_LINT = {
    "W2001": "An unused parameter: SAM puts the value of AllowedOrigin into the translated template.",
    "WS1004": "It finds log groups by the name of the function. Ours have no names; test_safety.py checks them.",
    "WS5000": "Tracing of the state machine: the function that it invokes is traced. A job of hours is too long for a"
    " trace.",
    "ES6000": "A dead-letter queue for FailedBatches, which is itself a dead-letter queue. The pipe Sweeps reads it.",
}
SKIPPED_BY_CHECKOV = {
    "CKV_AWS_27": "It requires a KMS key for the queue. SQS encrypts the queue with its own key, and the queue holds no"
    " customer data.",
    "CKV_AWS_115": "Reserved concurrency is taken from the account's other functions. The deployment fails where the"
    " quota is 10. The API is throttled, and the projector runs at most one invocation per shard.",
    "CKV_AWS_116": "A dead-letter queue serves asynchronous invocations. API Gateway waits for an answer, and the event"
    " source mapping has an on-failure queue.",
    "CKV_AWS_117": "The functions call only DynamoDB, which is in no VPC. A VPC would cost money for NAT or endpoints,"
    " and start-up time. IAM controls the access.",
    "CKV_AWS_119": "A customer-managed key costs money per month and per call. If the key is lost, the events are lost."
    " AWS's key for DynamoDB encrypts the tables.",
    "CKV_AWS_158": "A KMS key for logs: the reasons of CKV_AWS_119. Logs are always encrypted, without personal data.",
    "CKV_AWS_173": "A KMS key for environment variables: the reasons of CKV_AWS_119. They hold table names and no"
    " secrets.",
}


def main(template: str) -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(sam.translate(pathlib.Path(template).read_text()), file, indent=1)
        file.flush()
        cfn_lint = ["cfn-lint", "--regions", REGION, "--append-rules", "cfn_lint_serverless.rules"]
        cfn_lint += ["--template", file.name, "--ignore-checks", *SKIPPED_BY_CFN_LINT]
        checkov = ["checkov", "--file", file.name, "--framework", "cloudformation", "--compact", "--quiet"]
        checkov += ["--skip-download", "--skip-check", ",".join(SKIPPED_BY_CHECKOV)]
        codes = [subprocess.run(linter).returncode for linter in (cfn_lint, checkov)]
        return max(codes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or [sam.ROOT / "template.yaml"]))
