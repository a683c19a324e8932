"""Asks the engine: one process, a question a line."""
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
ENGINE = os.path.join(ROOT, "target", "debug", "examples", "conformance")


def asked(questions):
    """The answers, in the order of the questions."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([ENGINE], input=lines.encode(), capture_output=True, check=True)
    # Only a line feed ends an answer: what it quotes may have other line ends of Unicode.
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line]
