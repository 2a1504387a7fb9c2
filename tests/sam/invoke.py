#!/usr/bin/env python3
"""Sends the events of tests/events to the built functions with `sam local invoke`, and compares the answers with
answers*.txt.

Needs a Docker engine. Run `sam build --parameter-overrides Architecture=…` for this machine first. The script starts a
`cargo local` for DynamoDB, EventBridge, SQS and EventBridge Scheduler. It passes its arguments on to `sam local
invoke`, such as --skip-pull-image.
"""

import ipaddress
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
EVENTS = ROOT / "tests/events"
VARIABLES = ROOT / "tests/sam/variables.json"
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
# The name by which containers reach this machine. Docker Desktop resolves it, and lets containers connect to services
# that listen on 127.0.0.1.
HOST = "host.docker.internal"


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def bridge():
    """Returns the address of this machine in Docker's network, or None on Docker Desktop, which needs no address."""
    if platform.system() != "Linux" or "Docker Desktop" in docker("info", "--format", "{{.OperatingSystem}}"):
        return None
    [network] = json.loads(docker("network", "inspect", "bridge"))
    config = network["IPAM"]["Config"][0]
    return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))


def invoke(name, variables, options):
    """Returns the answer of the function whose name begins the name of the event."""
    binary = name.split(".")[0]
    function = "".join(word.capitalize() for word in binary.split("-")) + "Function"
    command = ["sam", "local", "invoke", function, "--event", EVENTS / f"{name}.json", "--env-vars", variables]
    command += ["--parameter-overrides", f"Architecture={ARCHITECTURE}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    answer = done.stdout.strip().splitlines()
    if done.returncode != 0 or not answer:
        raise SystemExit(f"{name}: {done.stderr}{done.stdout}")
    return json.loads(answer[-1])


def short(answer):
    """Returns an answer in the form of answers*.txt."""
    if "statusCode" in answer:
        return str(answer["statusCode"])
    if answer.get("done"):
        return "done"
    failures = answer.get("batchItemFailures", [{"itemIdentifier": json.dumps(answer)}])
    return failures[0]["itemIdentifier"] if failures else "ok"


def main():
    try:
        docker("info")
    except (OSError, subprocess.CalledProcessError):
        print("sam local invoke: skipped, no Docker engine is available")
        return 0
    address = bridge()
    options = sys.argv[1:] + (["--add-host", f"{HOST}:{address}"] if address else [])
    # The same build as that of the tests, so nothing is built a second time.
    subprocess.run(["cargo", "test", "--workspace", "--no-run", "--quiet"], cwd=ROOT, check=True)
    stack = [ROOT / "target/debug/local", "--port", "0", "--projector", "off"]
    stack += ["--listen", address] if address else []
    wrong = 0
    with (
        subprocess.Popen(stack, cwd=ROOT, stdout=subprocess.PIPE, text=True) as local,
        tempfile.TemporaryDirectory() as directory,
    ):
        try:
            api, dynamodb = re.search(r"at \S+:(\d+), DynamoDB at \S+:(\d+)", local.stdout.readline()).groups()
            variables = pathlib.Path(directory) / "variables.json"
            variables.write_text(VARIABLES.read_text().replace("8000", dynamodb).replace("3000", api))
            for line in "".join(path.read_text() for path in sorted(EVENTS.glob("answers*.txt"))).splitlines():
                if line.startswith("#"):
                    continue
                name, expected = line.split()
                answer = invoke(name, variables, options)
                correct = short(answer) == expected
                wrong += not correct
                print(f"{name:<34}{short(answer)}{'' if correct else f', expected {expected}: {answer}'}", flush=True)
        finally:
            local.terminate()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
