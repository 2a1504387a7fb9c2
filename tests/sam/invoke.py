#!/usr/bin/env python3
"""Sends the events under tests/events to the built functions by `sam local invoke`, and holds the answers against
answers.txt.

Needs a Docker engine, and `sam build --parameter-overrides Architecture=…` for this machine before it. DynamoDB is a
`cargo local` of its own. Arguments are passed on to `sam local invoke`, such as --skip-pull-image.
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
# What containers call this machine. Docker Desktop knows the name, and lets them in to what listens on 127.0.0.1.
HOST = "host.docker.internal"


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def bridge():
    """The address of this machine in Docker's network; None on Docker Desktop, which needs none."""
    if platform.system() != "Linux" or "Docker Desktop" in docker("info", "--format", "{{.OperatingSystem}}"):
        return None
    [network] = json.loads(docker("network", "inspect", "bridge"))
    config = network["IPAM"]["Config"][0]
    return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))


def invoke(name, variables, options):
    """The answer of the function that the event's name begins with."""
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
    """An answer as answers.txt says it."""
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
        print("sam local invoke: left out, there is no Docker engine")
        return 0
    address = bridge()
    options = sys.argv[1:] + (["--add-host", f"{HOST}:{address}"] if address else [])
    # As the tests build it: what they have built is there already.
    subprocess.run(["cargo", "test", "--workspace", "--no-run", "--quiet"], cwd=ROOT, check=True)
    stack = [ROOT / "target/debug/local", "--port", "0", "--projector", "off"]
    stack += ["--listen", address] if address else []
    wrong = 0
    with subprocess.Popen(stack, cwd=ROOT, stdout=subprocess.PIPE, text=True) as local, tempfile.TemporaryDirectory() as directory:
        try:
            port = re.search(r"DynamoDB at \S+:(\d+)", local.stdout.readline())[1]
            variables = pathlib.Path(directory) / "variables.json"
            variables.write_text(VARIABLES.read_text().replace("8000", port))
            for line in (EVENTS / "answers.txt").read_text().splitlines():
                if line.startswith("#"):
                    continue
                name, expected = line.split()
                answer = invoke(name, variables, options)
                right = short(answer) == expected
                wrong += not right
                print(f"{name:<34}{short(answer)}{'' if right else f', not {expected}: {answer}'}", flush=True)
        finally:
            local.terminate()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
