"""Lints what SAM makes of template.yaml: cfn-lint with its serverless rules, and checkov.

cfn-lint passes nonsense in the source of a SAM template, so it is the translated one that has to be looked at.
Needs: pip install -r tests/template/requirements.txt
"""

import json
import subprocess
import sys
import tempfile

import sam

REGION = "eu-west-1"

# What is not followed, and why.
SKIPPED_BY_CFN_LINT = {
    "W2001": "A parameter that is not used: SAM itself puts the value of AllowedOrigin in its place.",
    "WS1004": "It looks for log groups by the name of the function. Ours have no names; test_safety.py looks at them.",
    "WS5000": "Tracing of the state machine: the function that it invokes is traced, and a job of hours is no trace.",
    "ES6000": "A dead-letter queue for FailedBatches: it is one itself, read by people.",
}
SKIPPED_BY_CHECKOV = {
    "CKV_AWS_27": "It wants a key of KMS for the queue. It is encrypted by SQS's own, and holds no data of customers.",
    "CKV_AWS_115": "Reserved concurrency takes from the account's other functions, and fails to deploy where the quota"
    " is 10. The API is throttled, and the projector has at most one invocation a shard.",
    "CKV_AWS_116": "A dead-letter queue is for asynchronous invocations. API Gateway waits for an answer, and the event"
    " source mapping has an on-failure queue of its own.",
    "CKV_AWS_117": "All that the functions talk to is DynamoDB, which is in no VPC: one would cost NAT or endpoints,"
    " and time to start. Access is IAM's.",
    "CKV_AWS_119": "A customer-managed key costs each month and call, and who loses it loses the events. The tables are"
    " encrypted by AWS's key for DynamoDB.",
    "CKV_AWS_158": "The same of logs, which are always encrypted, and hold no personal data.",
    "CKV_AWS_173": "The same of environment variables, which hold names of tables and no secrets.",
}


def main() -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(sam.translated(), file, indent=1)
        file.flush()
        cfn_lint = ["cfn-lint", "--regions", REGION, "--append-rules", "cfn_lint_serverless.rules"]
        cfn_lint += ["--template", file.name, "--ignore-checks", *SKIPPED_BY_CFN_LINT]
        checkov = ["checkov", "--file", file.name, "--framework", "cloudformation", "--compact", "--quiet"]
        checkov += ["--skip-download", "--skip-check", ",".join(SKIPPED_BY_CHECKOV)]
        codes = [subprocess.run(linter).returncode for linter in (cfn_lint, checkov)]
        return max(codes)


if __name__ == "__main__":
    sys.exit(main())
